"""Masking a stream of chunks: a secret that lies across chunk borders is found, with bounded memory.

What the last `carry_bytes` could still be the beginning of is held back; a found secret that reaches into the held
back part is held whole, up to `max_held_bytes`, beyond which it is masked as it stands.
"""

from typing import Final

from masking.engine import Masker
from masking.model import Finding

CARRY_BYTES: Final = 4096
MAX_HELD_BYTES: Final = 64 << 10


class StreamMasker:
    """Feed it the chunks of one ASCII-based stream; what comes out is the masked stream, later by the carry.

    `findings` grows with each feed; offsets are bytes of the whole unmasked stream.
    """

    def __init__(
        self, masker: Masker, carry_bytes: int = CARRY_BYTES, max_held_bytes: int = MAX_HELD_BYTES, place: str = ""
    ) -> None:
        if not 0 < carry_bytes <= max_held_bytes:
            raise ValueError("carry_bytes must be positive and at most max_held_bytes")
        self._masker = masker
        self._carry = carry_bytes
        self._limit = max_held_bytes
        self._place = place
        self._held = b""
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
        return self._release(len(self._held))

    def _release(self, cut: int) -> bytes:
        spans = self._masker.find_spans(self._held)
        if cut < len(self._held):
            crossing = [span for span in spans if span.context_start < cut < span.end]
            wanted = min((span.context_start for span in crossing), default=cut)
            if len(self._held) - wanted <= self._limit:
                cut = wanted
            else:
                cut = max(cut, *(span.end for span in crossing))
        released = [span for span in spans if span.end <= cut]
        data, self._held = self._held[:cut], self._held[cut:]
        masked, findings = self._masker.splice(data, released)
        self.findings += [
            Finding(f.label, f.token, f.start + self._passed, f.end + self._passed, self._place, f.layers)
            for f in findings
        ]
        self._passed += cut
        return masked
