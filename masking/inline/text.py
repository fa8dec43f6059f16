"""Masks text whose structure is not known, as it comes. A secret across pieces is found; memory is bounded."""

from typing import Final

from masking.inline.model import Report
from masking.inline.values import ValueMasker
from masking.stream import StreamMasker

MAX_LINE_BYTES: Final = 8192
"""Of a longer line the beginning is looked at before its end has come."""

_BEGIN: Final = b"-----BEGIN "
_END: Final = b"-----END "


class TextRewriter:
    """A Rewriter of ASCII-based text.

    Some kilobytes are held back, since they may be the beginning of a secret. `flush` gives up on that for whole
    lines: a stream that pauses is shown up to its last line end, unless a key in PEM form is open.
    """

    def __init__(self, values: ValueMasker, report: Report, place: str = "") -> None:
        self._stream = StreamMasker(values, place=place)
        self._report = report
        self._line = b""  # what follows the last line end
        self._open_blocks = 0

    def feed(self, data: bytes) -> bytes:
        """The masked text that is certain by now."""
        data = self._line + data
        end = data.rfind(b"\n") + 1
        if len(data) - end > MAX_LINE_BYTES:
            end = len(data)
        self._line = data[end:]
        return self._pass(data[:end]) if end else b""

    def flush(self) -> bytes:
        """All whole lines."""
        if self._open_blocks > 0:
            return b""
        return self._took(self._stream.finish())

    def finish(self) -> bytes:
        """The rest."""
        rest, self._line = self._line, b""
        return self._took(self._stream.feed(rest) + self._stream.finish())

    def _pass(self, data: bytes) -> bytes:
        self._open_blocks = max(0, self._open_blocks + data.count(_BEGIN) - data.count(_END))
        return self._took(self._stream.feed(data))

    def _took(self, masked: bytes) -> bytes:
        findings = self._stream.findings
        if findings:
            self._report.add(findings)
            findings.clear()
        return masked
