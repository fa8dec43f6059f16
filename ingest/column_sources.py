"""Which columns of a recorded result are secret columns under another name: `SELECT password AS x`.

The record masks by names, and only the proxy knows statement and result together. It names the source of such columns;
masking in the stream goes by that, and keeps it no longer.
"""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final

from masking.names import label_of
from policy.postgres_sources import column_origins

MAX_LOOKED_CHARS: Final = 16_384
"""In a statement of which this much holds no telling name, none is looked for."""

MAX_KEPT_NAMES: Final = 1000
"""Aliases of cursors and prepared statements that one session remembers; beyond, the earliest are forgotten."""

_WORD: Final = re.compile(r"[A-Za-z_]\w+")
_NOTHING: Final[Mapping[str, str]] = {}
_GIVERS: Final = ("declare", "prepare")
_TAKERS: Final = ("fetch", "execute", "move")


class ColumnSources:
    """The aliases that the statements of one session give to telling columns."""

    def __init__(self) -> None:
        self._kept: dict[str, str] = {}

    def learn(self, statement: str) -> None:
        """A statement that was executed: a later one may show its result."""
        if _first_word(statement) in _GIVERS:
            for alias, source in telling_aliases(statement).items():
                self._kept.pop(alias, None)
                self._kept[alias] = source
            for alias in list(self._kept)[: max(0, len(self._kept) - MAX_KEPT_NAMES)]:
                del self._kept[alias]

    def find(self, statement: str, columns: Sequence[str]) -> list[str]:
        """For each column of the statement's result the telling one that its values are of, "" for others; empty when
        there is none."""
        aliases = telling_aliases(statement)
        if self._kept and _first_word(statement) in _TAKERS:
            aliases = {**self._kept, **aliases}
        if not aliases or aliases.keys().isdisjoint(columns):
            return []
        return [aliases.get(column, "") for column in columns]


@lru_cache(maxsize=1024)
def telling_aliases(statement: str) -> Mapping[str, str]:
    """Names that say nothing -> the telling column whose values stand under them, as they are or cast."""
    if not any(label_of(word) is not None for word in set(_WORD.findall(statement[:MAX_LOOKED_CHARS]))):
        return _NOTHING
    origins = column_origins(statement)
    if origins is None:
        return _NOTHING
    found: dict[str, str] = {}
    for alias, sources in origins.plain.items():
        source = next((name for name in sorted(sources) if label_of(name) is not None), "")
        if source and label_of(alias) is None:
            found[alias] = source
    return found


def _first_word(statement: str) -> str:
    return statement.lstrip()[:16].partition(" ")[0].lower()
