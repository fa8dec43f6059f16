"""Which cursors and prepared statements the statements of a text name, from the server's own grammar."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import orjson
from pglast import Error, parser

MAX_PARSED_CHARS: Final = 256 * 1024
_NAMES: Final = {
    "DeclareCursorStmt": ("declare", "portalname"),
    "FetchStmt": ("fetch", "portalname"),
    "PrepareStmt": ("prepare", "name"),
    "ExecuteStmt": ("execute", "name"),
}
_WORDS: Final = ("declare", "fetch", "move", "prepare", "execute")


@dataclass(slots=True, frozen=True)
class Use:
    """What one statement does with a name: declare, fetch, prepare, execute; "" for any other statement."""

    what: str = ""
    name: str = ""


def name_uses(statement: str) -> tuple[Use, ...] | None:
    """One for each statement of a text, in order; empty when none can name anything, None when it is not understood."""
    small = statement.lower()
    if not any(word in small for word in _WORDS):
        return ()
    if len(statement) > MAX_PARSED_CHARS or "\0" in statement:
        return None
    return _parse(statement)


@lru_cache(256)
def _parse(statement: str) -> tuple[Use, ...] | None:
    try:
        trees = orjson.loads(parser.parse_sql_json(statement)).get("stmts", [])
    except (Error, ValueError, RecursionError):
        return None
    return tuple(_use_of(tree.get("stmt", {})) for tree in trees)


def _use_of(node: dict[str, Any]) -> Use:
    for kind, (what, field) in _NAMES.items():
        if kind in node and not node[kind].get("ismove"):
            return Use(what, str(node[kind].get(field, "")))
    return Use()
