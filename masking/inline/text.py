"""Masks text whose structure is not known, as it comes. A secret across pieces is found; memory is bounded."""

import re
from typing import Final

from masking.cuts import end_of_whole
from masking.inline.model import Report
from masking.inline.values import ValueMasker
from masking.stream import StreamMasker

MAX_LINE_BYTES: Final = 8192
"""Of a longer line the beginning is looked at before its end has come."""

LONG_PAUSES: Final = 8
"""After so many pauses without a byte also those lines are shown that may go on in the next one."""

_GOES_ON: Final = re.compile(
    rb"(?:[A-Za-z0-9+/=_.-]{16}|[\\:=]|[:=][ \t]*[|>][+-]?|[\"'][ \t]*[+.&]?[ \t]*)[ \t]*\r?\n\Z"
)
_LINE_END_BYTES: Final = 64
_BEGIN: Final = b"-----BEGIN "
_END: Final = b"-----END "


class TextRewriter:
    """A Rewriter of ASCII-based text.

    Some kilobytes are held back, since they may be the beginning of a secret. `flush` gives up on that for whole
    lines: a stream that pauses is shown up to its last line end, unless a key in PEM form is open. Lines that may go on
    in the next (a name without a value, a string to be continued, a broken token) follow after LONG_PAUSES; if they do
    go on after all, the rest of the secret is masked.
    """

    def __init__(self, values: ValueMasker, report: Report, place: str = "") -> None:
        self._stream = StreamMasker(values, place=place)
        self._report = report
        self._line = b""  # what follows the last line end
        self._open_blocks = 0
        self._pauses = 0

    @property
    def is_holding(self) -> bool:
        """Whether there are lines that a later `flush` would bring out."""
        return self._open_blocks == 0 and self._stream.held != b""

    def feed(self, data: bytes) -> bytes:
        """The masked text that is certain by now."""
        self._pauses = 0
        data = self._line + data
        end = data.rfind(b"\n") + 1
        if len(data) - end > MAX_LINE_BYTES:
            end = len(data)
        self._line = data[end:]
        return self._pass(data[:end]) if end else b""

    def flush(self) -> bytes:
        """The whole lines that do not go on; later all whole lines."""
        if self._open_blocks > 0:
            return b""
        self._pauses += 1
        kept = _open_end(self._stream.held) if self._pauses < LONG_PAUSES else 0
        return self._took(self._stream.pause(kept))

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


def _open_end(text: bytes) -> int:
    """How many of the last bytes belong to what may go on: whole lines, or a part of a line that is too long."""
    if not text.endswith(b"\n"):
        return len(text) - end_of_whole(text)
    start = len(text)
    while start > 0 and len(text) - start < MAX_LINE_BYTES:
        line = text.rfind(b"\n", 0, start - 1) + 1
        if _GOES_ON.search(text, max(line, start - _LINE_END_BYTES), start) is None:
            break
        start = line
    return len(text) - start
