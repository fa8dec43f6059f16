"""What masking takes and gives. Nothing here ever holds or prints a secret value."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

# (start, end, label or None for the detector's own) in bytes of the scanned text
Hit = tuple[int, int, str | None]
# (scanned bytes, regex match, group) -> what of the match is to be masked; nothing = no hit
Validator = Callable[[bytes, Any, int], Sequence[Hit]]
# The same and, last, where that begins which told what it is (the name before a value, say)
Found = tuple[int, int, str | None, int]
# (flattened text, text, where the gate's matches end) -> what is to be masked. Both texts have one length.
Finder = Callable[[bytes, bytes, Sequence[int]], Iterable[Found]]


class Finding(NamedTuple):
    """One masked value. `start` and `end` are code points of the *unmasked* text that was passed in.

    `place` says where the text stood (a header, column or JSON path) as far as the caller or the structure
    told; `layers` names the encodings around the value, outermost first (base64, hex, url, utf-16, escape, quoted).
    """

    label: str
    token: str
    start: int
    end: int
    place: str = ""
    layers: tuple[str, ...] = ()


class MaskedText(NamedTuple):
    text: str
    findings: tuple[Finding, ...] = ()


class MaskedBytes(NamedTuple):
    data: bytes
    findings: tuple[Finding, ...] = ()


@dataclass(slots=True, frozen=True)
class MaskedPayload:
    """A payload after masking. `text` is None when the bytes are no text: then nothing of them may be kept but
    their count and keyed digest. `encoding` is utf-8, utf-16-le, utf-16-be or binary."""

    text: str | None
    findings: tuple[Finding, ...]
    encoding: str


@dataclass(slots=True, frozen=True)
class Case:
    """A detector's example: `text`, and the spans in it (code points) that must be masked under its label."""

    text: str
    spans: tuple[tuple[int, int], ...]


@dataclass(slots=True, frozen=True)
class Detector:
    """One kind of secret: gate (cheap, over everything), then pattern (the span), then validator and context.

    A text is a candidate when it holds one of `keywords` (ASCII, any case) or matches one of `gates`. `token` is set
    when the value begins with a keyword: the same expression for Python's engine, tried where a keyword begins. A
    `finder` replaces pattern and validator by code. `priority` decides between detectors that found the same span: the
    more specific one is higher.
    """

    name: str
    label: str
    description: str
    pattern: Any
    group: int
    keywords: tuple[bytes, ...]
    gates: tuple[bytes, ...]
    validator: Validator
    context: tuple[bytes, ...]
    normalize: str
    priority: int
    hits: tuple[Case, ...] = field(repr=False, default=())
    misses: tuple[str, ...] = field(repr=False, default=())
    token: re.Pattern[bytes] | None = None
    finder: Finder | None = None


class Tokens(Protocol):
    """The holder of the token key."""

    def token(self, value: bytes) -> str:
        """Text of 16 characters a-z2-7, stable under one key."""


def summarize(findings: Iterable[Finding]) -> list[tuple[str, int, str]]:
    """(label, count, token) in order of first appearance: the shape of an event's `masked[]`."""
    counts: dict[tuple[str, str], int] = {}
    for finding in findings:
        key = (finding.label, finding.token)
        counts[key] = counts.get(key, 0) + 1
    return [(label, count, token) for (label, token), count in counts.items()]
