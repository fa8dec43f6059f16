"""The first tier: which detectors could hit at all, and where, in one pass over a text or over many joined texts.

Two engines with one meaning: a detector is a candidate when a keyword of it occurs (ASCII, any case) or its gate
matches. Texts are scanned between two zero bytes, so gates need neither ^ nor $: an edge is a non-word byte.
Neither engine is shared between threads.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final, Protocol

from masking.expressions import Expression

MAX_LOCATED: Final = 20_000  # hits in one joined scan; beyond it each text is scanned by itself
EDGE: Final = b"\0"

# Gate number to where its keywords begin or its expression's matches end, rising; None: somewhere, look everywhere.
Candidates = dict[int, list[int] | None]


@dataclass(frozen=True)
class Gate:
    """What makes one detector (or layer) a candidate: one of the keywords, or one of the expressions."""

    keywords: tuple[bytes, ...]
    patterns: tuple[bytes, ...]


class Prefilter(Protocol):
    def candidates(self, data: bytes) -> Candidates:
        """The gates that hit in one text, in rising order."""

    def locate(self, joined: bytes) -> list[tuple[int, int, int]] | None:
        """(gate number, where, end) of hits in texts joined by EDGE with an EDGE at both ends; `where` as in
        Candidates, but counted from the first EDGE. None: something may hit, not known where; look at each text."""

    def hit_ends(self, data: bytes) -> list[int] | None:
        """The last byte of each hit in one text, rising; as long as the text where the edge behind it is part of a
        hit. None: something may hit, not known where."""


class Kept(Protocol):
    """Where compiled databases are kept from one start to the next: compiling takes seconds, reading one none.

    Names are letters, digits and dashes. What `load` gives must be what was kept: a database is not checked further.
    """

    def load(self, name: str) -> bytes | None: ...
    def keep(self, name: str, data: bytes) -> None: ...


class HyperscanPrefilter:
    """All gates in one Hyperscan database (x86-64 builds)."""

    def __init__(self, gates: Sequence[Gate], kept: Kept | None = None) -> None:
        self._hs: Any = import_module("hyperscan")
        self._kept = kept
        self._expressions, self._owners = _expressions(gates)
        self._database = self._compile(0)
        self._once: Any = None  # the same, telling each expression once: for texts full of hits

    def candidates(self, data: bytes) -> Candidates:
        framed = b"".join((EDGE, data, EDGE))
        located = self._locate(framed)
        if located is None:
            return self._candidates_once(framed)
        if not located:
            return {}
        found: Candidates = {}
        for number, end in located:
            for gate, size in self._owners[number]:
                places = found.get(gate)
                if places is None:
                    found[gate] = [end - size - 1]
                else:
                    places.append(end - size - 1)
        return dict(sorted(found.items())) if len(found) > 1 else found

    def locate(self, joined: bytes) -> list[tuple[int, int, int]] | None:
        located = self._locate(joined)
        if not located:
            return [] if located is not None else None
        owners = self._owners
        return [(gate, end - size, end) for number, end in located for gate, size in owners[number]]

    def hit_ends(self, data: bytes) -> list[int] | None:
        located = self._locate(b"".join((EDGE, data, EDGE)))
        return None if located is None else sorted([end - 2 for _, end in located])

    def _candidates_once(self, framed: bytes) -> Candidates:
        located: list[tuple[int, int]] = []
        self._once = self._once or self._compile(self._hs.HS_FLAG_SINGLEMATCH)
        self._once.scan(framed, match_event_handler=_collect, context=located)
        gates = {gate for number, _ in located for gate, _ in self._owners[number]}
        return {gate: None for gate in sorted(gates)}

    def _locate(self, data: bytes) -> list[tuple[int, int]] | None:
        found: list[tuple[int, int]] = []
        try:
            self._database.scan(data, _collect, 0, found)  # without names, which take longer to read
        except self._hs.ScanTerminated:
            return None
        return found

    def _compile(self, flag: int) -> Any:
        """The database of all expressions, from what is kept where it is there."""
        if self._kept is None:
            return self._compiled(self._expressions, flag)
        name = self._name_of(flag)
        database = self._loaded(self._kept.load(name))
        if database is None:
            database = self._compiled(self._expressions, flag)
            self._kept.keep(name, bytes(self._hs.dumpb(database)))
        return database

    def _compiled(self, expressions: list[bytes], flag: int) -> Any:
        count = len(expressions)
        database = self._hs.Database(mode=self._hs.HS_MODE_BLOCK)
        database.compile(expressions=expressions, ids=list(range(count)), elements=count, flags=[flag] * count)
        return database

    def _loaded(self, data: bytes | None) -> Any:
        """None when it is of another version of Hyperscan or for another processor, in spite of its name."""
        if data is None:
            return None
        try:
            database = self._hs.loadb(data, self._hs.HS_MODE_BLOCK)
            database.scratch = self._hs.Scratch(database)
        except self._hs.error:
            return None
        return database

    def _name_of(self, flag: int) -> str:
        """Of what a database depends on: the expressions in their order, Hyperscan, and the processor it compiles for
        (a database of one expression tells both)."""
        made_for = self._compiled([b"a"], flag).info()
        parts = [made_for, self._hs.__version__.encode(), str(flag).encode(), *self._expressions]
        digest = hashlib.sha256(b"".join(len(part).to_bytes(8, "big") + part for part in parts))
        return f"hyperscan-{digest.hexdigest()}"


def _collect(number: int, _start: int, end: int, _flags: int, found: Any) -> bool | None:
    found.append((number, end))
    return True if len(found) > MAX_LOCATED else None


def _expressions(gates: Sequence[Gate]) -> tuple[list[bytes], list[list[tuple[int, int]]]]:
    """Each different keyword or pattern once, and the (gate, bytes from the match's end back to `where`) it serves."""
    owners: dict[bytes, list[tuple[int, int]]] = {}
    for number, gate in enumerate(gates):
        for word in gate.keywords:
            owners.setdefault(b"(?i)" + _literal(word), []).append((number, len(word)))
        for pattern in gate.patterns:
            owners.setdefault(pattern, []).append((number, 0))
    return list(owners), list(owners.values())


def _literal(word: bytes) -> bytes:
    return b"".join(b"\\x%02x" % byte if not chr(byte).isalnum() else bytes([byte]) for byte in word)


class KeywordPrefilter:
    """Aho-Corasick over the keywords and RE2 over the gates: for platforms without a Hyperscan build."""

    def __init__(self, gates: Sequence[Gate]) -> None:
        from ahocorasick_rs import BytesAhoCorasick

        owners: dict[bytes, list[int]] = {}
        for number, gate in enumerate(gates):
            for word in gate.keywords:
                owners.setdefault(word, []).append(number)
        self._owners = list(owners.values())
        self._automaton: Any = BytesAhoCorasick(list(owners))
        self._patterns = [
            (number, Expression(pattern)) for number, gate in enumerate(gates) for pattern in gate.patterns
        ]

    def candidates(self, data: bytes) -> Candidates:
        framed = b"".join((EDGE, data, EDGE))
        found = {number for number, pattern in self._patterns if pattern.search(framed)}
        for word, _, _ in self._automaton.find_matches_as_indexes(framed.lower(), overlapping=True):
            found.update(self._owners[word])
        return {gate: None for gate in sorted(found)}

    def locate(self, joined: bytes) -> list[tuple[int, int, int]] | None:
        return None if self.candidates(joined) else []

    def hit_ends(self, data: bytes) -> list[int] | None:
        return None if self.candidates(data) else []


def build_prefilter(gates: Sequence[Gate], engine: str = "auto", kept: Kept | None = None) -> Prefilter:
    """`engine` is auto, hyperscan or keywords; auto takes Hyperscan where it is installed. `kept`: see Kept."""
    if engine == "keywords":
        return KeywordPrefilter(gates)
    try:
        return HyperscanPrefilter(gates, kept)
    except ImportError:
        if engine == "hyperscan":
            raise
        return KeywordPrefilter(gates)
