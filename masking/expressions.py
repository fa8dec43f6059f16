"""RE2 over bytes, with as little as can be between an expression and its matches: most texts are a value of some bytes,
and re2's own objects for one match take longer than the search.

Compiled where a C compiler is at hand (deploy/native.py).
"""

import re
from collections.abc import Iterator
from importlib import import_module
from typing import Any, Final

import re2

MAX_MEMORY: Final = 64 << 20
"""Of one expression, in bytes."""

Spans = list[tuple[int, int]]

_ANYWHERE: Final[Any] = re2._Anchor.UNANCHORED
_AT_START: Final[Any] = re2._Anchor.ANCHOR_START
_ALL: Final[Any] = re2._Anchor.ANCHOR_BOTH
_EDGES: Final = (b"", b"a", b" ", b"\n")
"""One character of each kind that an expression can see before the end of a text."""


class Match:
    """One match; the methods of re.Match that detectors use."""

    __slots__ = ("_spans", "_text", "re")

    def __init__(self, expression: "Expression", text: bytes, spans: Spans) -> None:
        self.re = expression
        self._text = text
        self._spans = spans

    def span(self, group: int = 0) -> tuple[int, int]:
        """Offsets in the text, (-1, -1) for a group that took no part. Raises IndexError."""
        return self._spans[group]

    def start(self, group: int = 0) -> int:
        """Where a group begins, -1 when it took no part. Raises IndexError."""
        return self._spans[group][0]

    def end(self, group: int = 0) -> int:
        """Where a group ends, -1 when it took no part. Raises IndexError."""
        return self._spans[group][1]

    def group(self, group: int = 0) -> bytes | None:
        """The bytes of a group; None when it took no part. Raises IndexError."""
        start, end = self._spans[group]
        return None if start < 0 else self._text[start:end]

    def __getitem__(self, group: int) -> bytes | None:
        return self.group(group)


def least_bytes_of(pattern: bytes) -> int:
    """How long a match of an RE2 expression is at least, as Python's parser counts; 0 where it does not know."""
    if b"[:" in pattern:  # a class of POSIX, which Python reads as another one
        return 0
    try:
        # What RE2 calls \\z is \\Z here, as long.
        least, _ = import_module("re._parser").parse(pattern.replace(rb"\z", rb"\Z")).getwidth()
    except (re.error, ImportError, AttributeError):  # what only RE2 knows, or another Python
        return 0
    return int(least)


class Expression:
    """A compiled expression. `groups` is how many it captures. Raises re2.error for a wrong or too large one."""

    __slots__ = ("_find", "_has_empty_end", "groups", "pattern")

    def __init__(self, pattern: bytes) -> None:
        options = re2.Options()
        options.encoding = re2.Options.Encoding.LATIN1
        options.log_errors = False
        options.max_mem = MAX_MEMORY
        self.pattern = pattern
        compiled: Any = re2._re2.RE2(pattern, options)
        if not compiled.ok():
            raise re2.error(compiled.error())
        self.groups: int = compiled.NumberOfCapturingGroups()
        self._find: Any = compiled.Match
        self._has_empty_end = any(self._find(_ANYWHERE, edge, len(edge), len(edge))[0][0] >= 0 for edge in _EDGES)

    def search(self, text: bytes, start: int = 0) -> Match | None:
        """The first match from `start` on."""
        return self._one(_ANYWHERE, text, start)

    def match(self, text: bytes, start: int = 0) -> Match | None:
        """The match that begins at `start`."""
        return self._one(_AT_START, text, start)

    def fullmatch(self, text: bytes) -> Match | None:
        """The match of the whole text."""
        return self._one(_ALL, text, 0)

    def finditer(self, text: bytes) -> Iterator[Match]:
        """Every match, none overlapping another."""
        position = self.next_start(text, -1, 0)
        while position >= 0:
            match = self._one(_ANYWHERE, text, position)
            if match is None:
                return
            yield match
            position = self.next_start(text, position, match.end())

    def next_start(self, text: bytes, start: int, end: int) -> int:
        """Where to `search` on behind a match that was searched for from `start` (-1: none was) and ended at `end`;
        -1: nowhere."""
        size = len(text)
        if start == size:
            return -1
        position = end if end > start else start + 1
        return position if position < size or self._has_empty_end else -1

    def _one(self, anchor: Any, text: bytes, start: int) -> Match | None:
        if start > len(text):
            return None
        spans: Spans = self._find(anchor, text, start, len(text))
        return Match(self, text, spans) if spans[0][0] >= 0 else None
