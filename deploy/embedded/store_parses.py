"""Remembers how the engine parsed a statement: a page that is open, or a sink, asks the same again and again.

A parse takes two calls of the engine, a short query one. It depends on the statement and its parameters alone; whether
a role may run it is decided anew each time.
"""

from typing import Final, Protocol

from deploy.embedded.store_ast import Parsed

MAX_PARSES: Final = 256
MAX_CHARS: Final = 4096
"""Of a statement with its parameters; a longer one is parsed each time. Together they bound the memory."""


class Parser(Protocol):
    """What this needs of a handle (store_engine.py)."""

    def parse(self, statement: str, params: dict[str, str] | None = None) -> Parsed: ...


class Parses:
    """For any thread: what two of them find at once is the same."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, ...], Parsed] = {}

    def parse(self, parser: Parser, statement: str, params: dict[str, str]) -> Parsed:
        """As `Handle.parse`, whose errors it raises and does not remember."""
        key = (statement, *(part for item in sorted(params.items()) for part in item))
        parsed = self._known.get(key)
        if parsed is None:
            parsed = parser.parse(statement, params)
            if sum(map(len, key)) <= MAX_CHARS:
                if len(self._known) >= MAX_PARSES:
                    self._known.clear()
                self._known[key] = parsed
        return parsed
