"""What a statement does, whatever the protocol: the one entrance for gate, policy and detection."""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from policy.http import classify_http
from policy.kubernetes import classify_kubernetes
from policy.mcp import classify_mcp
from policy.model import Classified, ObjectAccess, Operation
from policy.mongodb import classify_mongodb
from policy.mysql import classify_mysql
from policy.postgres import classify_postgres
from policy.redis import classify_redis
from policy.shell import classify_shell

__all__ = ["CLASSIFIERS", "Classified", "ObjectAccess", "Operation", "classify", "classify_shape", "shape_of"]

MAX_CACHED_CHARS: Final = 4096
MAX_CACHED_SHAPES: Final = 4096
# A run of digits that is a whole token. PostgreSQL takes every non-ASCII character for part of a name. What stands
# before it is looked at behind its first digit: what begins with a digit is searched for in a third of the time.
# The classes say what is no part of a token: they are compiled in a fiftieth of the time of those up to \U0010ffff.
_OUTSIDE: Final = r"\x00-#%-\-/:-@\[\]^`{-\x7f"
_NUMBER: Final = re.compile(rf"[0-9](?<![^{_OUTSIDE}][0-9])[0-9]*+(?![^{_OUTSIDE}\\])")
_UNKNOWN: Final = Classified(Operation.ADMIN, is_unknown=True)

CLASSIFIERS: Final[dict[str, Callable[[str], Classified]]] = {
    "postgres": classify_postgres,
    "mysql": classify_mysql,
    "shell": classify_shell,
    "redis": classify_redis,
    "mongodb": classify_mongodb,
    "kubernetes": classify_kubernetes,
    "mcp": classify_mcp,
    "http": classify_http,
}
"""Dialect -> its classifier. None of them ever raises. One more dialect = one line."""

_CACHED: Final[dict[str, Callable[[str], Classified]]] = {
    dialect: lru_cache(MAX_CACHED_SHAPES)(function) for dialect, function in CLASSIFIERS.items()
}


def classify(dialect: str, statement: str) -> Classified:
    """Classify a statement of `dialect` (one of CLASSIFIERS). Never raises; unknown is dangerous.

    About 2 µs for a shape seen lately; a new one of PostgreSQL costs some 30 µs a kilobyte.
    """
    return classify_shape(dialect, shape_of(dialect, statement))


def shape_of(dialect: str, statement: str) -> str:
    """A statement that is classified as this one is, and names the same things: its numbers may be others."""
    # Within a quoted name or a unicode escape digits mean something: no shape, the statement itself.
    if dialect != "postgres" or len(statement) > MAX_CACHED_CHARS or '"' in statement or "&" in statement:
        return statement
    return _NUMBER.sub("0", statement)


def classify_shape(dialect: str, shape: str) -> Classified:
    """As `classify`, of what `shape_of` gave."""
    classifier = CLASSIFIERS.get(dialect)
    if classifier is None:
        return _UNKNOWN
    if len(shape) > MAX_CACHED_CHARS:
        return classifier(shape)
    return _CACHED[dialect](shape)
