"""When an action of the trail and one of the target's evidence are the same: by shape, never by values.

What is stored is masked, and a target's log is not. So both sides are brought to what masking does not change.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Final

from pglast import Error, parser

from policy.classify import classify
from policy.http import path_shape

UNPARSABLE: Final = "unparsable"
MAX_SHOWN_CHARS: Final = 200
MAX_CACHED: Final = 8192
ID: Final = "{id}"


def statement_shape(statement: str) -> str:
    """The fingerprint that the proxy gives a PostgreSQL statement; UNPARSABLE for what has none."""
    return classify("postgres", statement).fingerprint or UNPARSABLE


@lru_cache(MAX_CACHED)
def shown_statement(statement: str) -> str:
    """A statement without values and comments, on one line."""
    try:
        tokens = parser.scan(statement)
    except (Error, ValueError):
        return f"({len(statement)} characters that are no SQL)"
    encoded = statement.encode()
    words: list[str] = []
    for token in tokens:
        if token.name.endswith("_COMMENT"):
            continue
        is_value = token.name in ("SCONST", "ICONST", "FCONST", "BCONST", "XCONST", "USCONST", "PARAM")
        words.append("?" if is_value else encoded[token.start : token.end + 1].decode("utf-8", "replace"))
        if sum(map(len, words[-8:])) > MAX_SHOWN_CHARS or len(words) > MAX_SHOWN_CHARS:
            break
    text = " ".join(words)
    return text if len(text) <= MAX_SHOWN_CHARS else text[: MAX_SHOWN_CHARS - 1] + "…"


def split_statements(text: str) -> tuple[str, ...]:
    """The statements of a text, at least one; text that cannot be read is one."""
    if ";" not in text:
        return (text,)
    try:
        return tuple(parser.split(text)) or (text,)
    except (Error, ValueError):
        return (text,)


class HttpShapes:
    """Shapes of HTTP requests: method and path, with what identifies or was masked as `{id}`.

    `mask` is what masking makes of a text; it is asked about paths of the target's log only, which nobody has masked.
    """

    def __init__(self, mask: Callable[[str], str]) -> None:
        self._mask = lru_cache(MAX_CACHED)(lambda path: _shape_of(mask(path)))

    @staticmethod
    def stored(statement: str) -> str:
        """Of a statement of the trail, "METHOD url"."""
        method, _, target = statement.partition(" ")
        return f"{method} {_shape_of(_path_of(target))}"

    def logged(self, method: str, target: str) -> str:
        """Of a line of an access log: the path as it was asked for, or an absolute URL."""
        return f"{method} {self._mask(_path_of(target))}"


def _path_of(target: str) -> str:
    target = target.split(" ", 1)[0]
    _, separator, rest = target.partition("://")
    path = "/" + rest.partition("/")[2] if separator else target
    return path.split("#", 1)[0].split("?", 1)[0] or "/"


def _shape_of(path: str) -> str:
    return "/".join(ID if "‹" in part or "›" in part else part for part in path_shape(path).split("/"))
