"""Masking a stream of chunks: a secret that lies across chunk borders is found, with bounded memory.

What the last `carry_bytes` could still be the beginning of is held back; a found secret that reaches into the held
back part is held whole, up to `max_held_bytes`, beyond which it is masked piece by piece: its beginning is remembered.
"""

from typing import Final, Protocol

from masking.model import Finding
from masking.spans import Span

CARRY_BYTES: Final = 4096
MAX_HELD_BYTES: Final = 64 << 10
STUB_BYTES: Final = 64
PAUSE_BYTES: Final = 256
"""So much of what a pause has shown is remembered: it may be how a secret begins, or the name before one."""


class SpanMasker(Protocol):
    """What finds and replaces: a Masker, or one that is limited to some labels."""

    def find_spans(self, data: bytes) -> list[Span]: ...

    def splice(self, data: bytes, spans: list[Span]) -> tuple[bytes, tuple[Finding, ...]]: ...


class StreamMasker:
    """Feed it the chunks of one ASCII-based stream; what comes out is the masked stream, later by the carry.

    `findings` grows with each feed; offsets are bytes of the whole unmasked stream.
    """

    def __init__(
        self, masker: SpanMasker, carry_bytes: int = CARRY_BYTES, max_held_bytes: int = MAX_HELD_BYTES, place: str = ""
    ) -> None:
        if not 0 < carry_bytes <= max_held_bytes:
            raise ValueError("carry_bytes must be positive and at most max_held_bytes")
        self._masker = masker
        self._carry = carry_bytes
        self._limit = max_held_bytes
        self._place = place
        self._held = b""
        self._stub = 0  # bytes at the front of _held that are out already: how a secret begins that has not ended
        self._passed = 0
        self.findings: list[Finding] = []

    def feed(self, chunk: bytes) -> bytes:
        """The part of the masked stream that is now certain (often empty for small chunks)."""
        self._held += chunk
        if len(self._held) <= 2 * self._carry:
            return b""
        return self._release(len(self._held) - self._carry)

    def finish(self) -> bytes:
        """The rest. The masker can be used for another stream afterwards."""
        rest = self._release(len(self._held))
        self._held, self._stub = b"", 0
        return rest

    @property
    def held(self) -> bytes:
        """What is not out yet, unmasked."""
        return self._held[self._stub :]

    def pause(self, kept_bytes: int = 0) -> bytes:
        """Nothing comes for now: all that is held but for the last `kept_bytes`. A secret that goes on in what comes
        later is masked from there on."""
        return self._release(len(self._held) - kept_bytes, PAUSE_BYTES)

    def _release(self, cut: int, remembered: int = 0) -> bytes:
        held, stub = self._held, self._stub
        spans = [_without_stub(held, span, stub) for span in self._masker.find_spans(held) if span.end > stub]
        open_end: Span | None = None
        if cut < len(held):
            crossing = [span for span in spans if span.context_start < cut < span.end]
            cut_before = min((span.context_start for span in crossing), default=cut)
            if len(held) - cut_before <= self._limit:
                cut = cut_before
            else:
                cut = max(cut, *(span.end for span in crossing))
                open_end = next((span for span in crossing if span.end == len(held)), None)
        if cut <= stub:
            return b""
        masked, findings = self._masker.splice(held[:cut], [span for span in spans if span.end <= cut])
        base = self._passed - stub
        self.findings += [
            Finding(f.label, f.token, f.start + base, f.end + base, self._place, f.layers) for f in findings
        ]
        self._passed += cut - stub
        beginning = _beginning(held, open_end, stub) if open_end else _end_of(held, cut, remembered)
        self._held, self._stub = beginning + held[cut:], len(beginning)
        return masked[stub:]


def _without_stub(held: bytes, span: Span, stub: int) -> Span:
    if span.start >= stub:
        return span
    return span.cut(stub, span.end, held[stub : span.end])


def _end_of(held: bytes, cut: int, size: int) -> bytes:
    """The last bytes before `cut`, from the beginning of a line if there is one among them."""
    low = max(0, cut - size)
    line = held.find(b"\n", low, max(low, cut - 1)) + 1 if low else 0
    return held[max(low, line) : cut]


def _beginning(held: bytes, span: Span, stub: int) -> bytes:
    return held[:stub] if span.context_start < stub else held[span.context_start : span.start + STUB_BYTES]
