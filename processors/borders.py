"""Secrets that lie across the border of two recorded pieces of one stream: a tunnel, a COPY, a long body. Pure.

Redaction looks at events one by one. Before it, the pieces of one action and direction in a batch are laid side by
side, and what is found across a border is replaced: the token stands in the piece in which the secret begins, others
lose their part. Pieces in different batches are not put together: the proxies let them end where no value does
(masking/cuts.py), so that what is looked at here is what is longer, or came with a pause in its middle.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from masking.engine import Masker
from masking.model import Finding
from masking.spans import Span
from processors.pieces import Pieces
from schemas.events import EventKind
from schemas.wire.avro import word

REACH_BYTES: Final = 4096
"""So much on each side of a border is looked at."""

_KINDS: Final = (EventKind.DATA_SENT.value, EventKind.DATA_RECEIVED.value)
_WORDS: Final = frozenset(map(word, _KINDS))
_LAST_PART: Final = ("websocket.end", "true")
"""Attribute of what ends a WebSocket message: the next is another text."""

Event = dict[str, Any]


def may_cross(pieces: Pieces) -> bool:
    """Whether a batch has two pieces of one stream at all."""
    return any(kind in _WORDS and count > 1 for (_, kind, _, _), count in pieces.walked.counts.items())


class BorderMasker:
    """Masks across the borders of a batch."""

    def __init__(self, masker: Masker) -> None:
        self._masker = masker

    def has_crossing(self, pieces: Pieces) -> bool:
        """Whether anything lies across a border. Reads only the pieces of streams."""
        if not may_cross(pieces):
            return False
        items = [pieces.read_event(index) for index in range(len(pieces)) if pieces.kind_of(index) in _WORDS]
        return self.mask({"events": items})

    def mask(self, batch: Mapping[str, Any]) -> bool:
        """Change a batch's decoded fields in place. False: nothing lies across a border."""
        changed = [self._mask_stream(stream) for stream in streams_of(batch["events"])]
        return any(changed)

    def _mask_stream(self, events: Sequence[Event]) -> bool:
        contents = [event["payload"] for event in events]
        whole = b"".join(contents)
        borders, position = [], 0
        for content in contents[:-1]:
            position += len(content)
            borders.append(position)
        crossing = [span for window in windows_of(borders, len(whole)) for span in self._find(whole, *window, borders)]
        if not crossing:
            return False
        starts = [0, *borders, len(whole)]
        for event, low, high in zip(events, starts, starts[1:], strict=False):
            self._put(event, whole, low, high, [span for span in crossing if span.start < high and span.end > low])
        return True

    def _find(self, whole: bytes, low: int, high: int, borders: Sequence[int]) -> Iterator[Span]:
        window = whole[low:high]
        try:
            window.decode()
        except UnicodeDecodeError:
            return  # no text, and then nothing of it is kept
        for span in self._masker.find_spans(window):
            start, end = span.start + low, span.end + low
            if any(start < border < end for border in borders):
                yield span.moved(low)

    def _put(self, event: Event, whole: bytes, low: int, high: int, spans: Sequence[Span]) -> None:
        out: list[bytes] = []
        findings: list[Finding] = []
        for span in spans:
            if span.start >= low:
                shown, found = self._masker.splice(whole[: span.end], [span])
                out += (whole[low : span.start], shown[span.start :])
                findings += found
            low = min(span.end, high)
        if spans:
            event["payload"] = b"".join([*out, whole[low:high]])
            event["masked"] = [*event["masked"], *map(_entry, findings)]


def _entry(finding: Finding) -> dict[str, Any]:
    return {"label": finding.label, "count": 1, "token": finding.token, "place": "payload"}


def streams_of(items: Sequence[Mapping[str, Any]]) -> Iterator[list[Event]]:
    """The pieces of each stream, two or more, in order; one whose rest was cut off ends a stream."""
    open_: dict[tuple[int, str, str], list[Event]] = {}
    for item in items:
        event = item["event"]
        if event["kind"] not in _KINDS:
            continue
        key = (item["session"], event["kind"], event["action_id"])
        open_.setdefault(key, []).append(event)
        if event["is_truncated"] or event["attributes"].get(_LAST_PART[0]) == _LAST_PART[1]:
            yield from _long(open_.pop(key))
    for events in open_.values():
        yield from _long(events)


def _long(events: list[Event]) -> Iterator[list[Event]]:
    if len(events) > 1:
        yield events


def windows_of(borders: Sequence[int], size: int) -> list[tuple[int, int]]:
    """What is looked at around the borders, which rise: disjoint, in order."""
    windows: list[tuple[int, int]] = []
    for border in borders:
        low, high = max(0, border - REACH_BYTES), min(size, border + REACH_BYTES)
        if windows and low <= windows[-1][1]:
            windows[-1] = (windows[-1][0], high)
        else:
            windows.append((low, high))
    return windows
