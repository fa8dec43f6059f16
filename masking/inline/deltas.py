"""Text that comes in small pieces, one in each JSON event, as models stream it: a secret over several events is found.

A *channel* is what one text consists of: the strings of one key in events with the same indices. An event is held
back while the text of its channels may be in the middle of a secret: in a word, in a row of digit groups, in a private
key, in what a detector has found so far. So an event waits for the next one as a rule; MAX_HELD_BYTES bound the wait.
"""

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from masking.inline.json_text import encode_string, unescape
from masking.inline.model import Report
from masking.inline.values import ValueMasker
from masking.spans import Span

MAX_HELD_BYTES: Final = 8192
"""So much text of one channel is held; with more, what is found in it is masked and all of it is shown."""

MAX_HELD_DATA: Final = 1 << 20
"""And so many bytes of events altogether."""

MAX_CHANNELS: Final = 64
CONTEXT_BYTES: Final = 256
"""Shown text that is remembered: a name before a value tells what it is."""

CALM_PAUSES: Final = 2
"""After so many pauses without an event words are shown, after TENSE_PAUSES also what looks like a part of a secret."""

TENSE_PAUSES: Final = 8

_TEXT: Final = re.compile(
    rb'"(content|text|delta|partial_json|arguments|input|response|thinking|reasoning|reasoning_content|refusal'
    rb'|transcript|completion|output|generated_text|token)"\s*:\s*("(?:[^"\\]++|\\.)*+")',
    re.DOTALL,
)
_INDEX: Final = re.compile(rb'"(?:[a-z]+_)?index"\s*:\s*(\d{1,9})')
_PING: Final = re.compile(rb'"type"\s*:\s*"(?:ping|keep-?alive|heartbeat)"')
_DIGITS: Final = re.compile(rb"[+(]*\d[\d().,/:-]*")
_HARMLESS: Final = re.compile(rb"[^0-9@:=_/+\\-]{0,12}")
_BLANKS: Final = b" \t\r\n"
_BEGIN: Final = b"-----BEGIN "
_END: Final = b"-----END "
_MAX_GROUPS: Final = 8

Key = tuple[bytes, ...]


@dataclass(slots=True)
class _Channel:
    """`text`: a remembered part that is shown already, up to `done`, and what is not."""

    text: bytes = b""
    done: int = 0
    cut: int = 0  # up to here it may be shown
    spans: tuple[Span, ...] = ()
    slots: int = 0  # of events that are held
    covered: int = 0  # up to here stands a token for it


@dataclass(slots=True)
class _Slot:
    """A piece of a channel: its token in the event's bytes, its place in the channel's text."""

    channel: _Channel
    start: int
    end: int
    low: int
    high: int


@dataclass(slots=True)
class _Event[T]:
    what: T
    data: bytes
    slots: list[_Slot]


class DeltaHold[T]:
    """Holds events until what of their text is secret is known. `T` is whatever the caller knows an event by."""

    def __init__(self, values: ValueMasker, report: Report, place: str, *, ascii_only: bool = False) -> None:
        self._values = values
        self._report = report
        self._place = place
        self._ascii_only = ascii_only
        self._channels: dict[Key, _Channel] = {}
        self._events: deque[_Event[T]] = deque()
        self._size = 0
        self._pauses = 0

    @property
    def is_holding(self) -> bool:
        """Whether there is an event that a pause would bring out."""
        return bool(self._events)

    def take(self, what: T, data: bytes, *, is_quiet: bool = False) -> list[tuple[T, bytes]]:
        """An event with its data, masked by itself. The events that may go now, with their data. `is_quiet`: it says
        nothing, and no text ends with it."""
        self._pauses = 0
        slots = list(self._slots_of(data))
        if not slots and not self._events:
            return [(what, data)]
        self._events.append(_Event(what, data, slots))
        self._size += len(data) + 1
        if (
            not slots and not is_quiet and not _PING.search(data)
        ):  # what streams its text does not say other things in between
            return self.finish()
        for channel in {id(slot.channel): slot.channel for slot in slots}.values():
            self._settle(channel)
        if self._size > MAX_HELD_DATA:
            return self.finish()
        return self._ready()

    def pass_on(self, what: T, data: bytes) -> bytes:
        """The data of an event that must not be held, masked by itself: without what turns out to be the rest of a
        secret. Not to be mixed with `take`."""
        slots = list(self._slots_of(data))
        if not slots:
            return data
        for channel in {id(slot.channel): slot.channel for slot in slots}.values():
            channel.spans = tuple(span for span in self._values.find_spans(channel.text) if span.end > channel.done)
            channel.cut = len(channel.text)
        self._events.append(_Event(what, data, slots))
        self._size += len(data) + 1
        return b"".join(shown for _, shown in self._ready())

    def pause(self) -> list[tuple[T, bytes]]:
        """Nothing came for a while: the events that are held for the end of a word only, later all but keys."""
        self._pauses += 1
        if not self._events or self._pauses < CALM_PAUSES:
            return []
        for channel in self._channels.values():
            rest = channel.text[channel.cut :]
            is_key = rest.rfind(_BEGIN) >= 0
            if channel.slots and not is_key and (self._pauses >= TENSE_PAUSES or self._is_harmless(channel, rest)):
                channel.cut = len(channel.text)
        return self._ready()

    def finish(self) -> list[tuple[T, bytes]]:
        """All that is held: the texts are over, or the stream is."""
        for channel in self._channels.values():
            if channel.slots:
                channel.spans = tuple(self._values.find_spans(channel.text))
                channel.cut = len(channel.text)
        ready = self._ready()
        self._channels.clear()
        return ready

    # -- channels

    def _slots_of(self, data: bytes) -> Iterator[_Slot]:
        indices: Key | None = None
        seen: dict[bytes, int] = {}
        for match in _TEXT.finditer(data):
            if indices is None:
                indices = tuple(_INDEX.findall(data))
            number = seen[match[1]] = seen.get(match[1], -1) + 1
            channel = self._channel((match[1], b"%d" % number, *indices))
            piece = unescape(match[2][1:-1])
            low = len(channel.text)
            channel.text += piece
            channel.slots += 1
            yield _Slot(channel, *match.span(2), low, low + len(piece))

    def _channel(self, key: Key) -> _Channel:
        channel = self._channels.get(key)
        if channel is None:
            if len(self._channels) >= MAX_CHANNELS:  # the longest unused, which nobody holds
                idle = [known for known, each in self._channels.items() if not each.slots]
                for known in idle[: len(idle) // 2 + 1]:
                    del self._channels[known]
            channel = self._channels[key] = _Channel()
        return channel

    def _settle(self, channel: _Channel) -> None:
        """Find out how far the channel may be shown."""
        text = channel.text
        spans = self._values.find_spans(text)
        cut = tail_of(text, channel.done)
        for span in reversed(spans):
            if span.end >= cut - 1 and span.start < cut:
                cut = max(span.start, channel.done)
        if len(text) - cut > MAX_HELD_BYTES:
            cut = len(text)
        channel.spans = tuple(span for span in spans if span.end > channel.done)
        channel.cut = max(channel.cut, cut)

    def _is_harmless(self, channel: _Channel, rest: bytes) -> bool:
        """Whether what is held is a word like others, with nothing before it that makes it a secret."""
        return _HARMLESS.fullmatch(rest) is not None and not any(span.end > channel.cut for span in channel.spans)

    # -- events

    def _ready(self) -> list[tuple[T, bytes]]:
        ready: list[tuple[T, bytes]] = []
        while self._events and all(slot.high <= slot.channel.cut for slot in self._events[0].slots):
            event = self._events.popleft()
            self._size -= len(event.data) + 1
            ready.append((event.what, self._show(event)))
        for channel in self._channels.values():
            if not channel.slots:
                self._forget(channel)
        return ready

    def _show(self, event: _Event[T]) -> bytes:
        pieces: list[bytes] = []
        position = 0
        for slot in event.slots:
            masked = self._masked(slot)
            slot.channel.slots -= 1
            slot.channel.done = max(slot.channel.done, slot.high)
            if masked is not None:
                pieces += (event.data[position : slot.start], encode_string(masked, ascii_only=self._ascii_only))
                position = slot.end
        pieces.append(event.data[position:])
        return b"".join(pieces)

    def _masked(self, slot: _Slot) -> bytes | None:
        """A piece with its part of each secret gone: the token stands where the secret begins. None: as it was."""
        channel, low, high = slot.channel, slot.low, slot.high
        touching = [span for span in channel.spans if span.start < high and span.end > low]
        if not touching:
            return None
        text, out = channel.text, []
        for span in touching:
            start = max(span.start, low)
            out.append(text[low:start])
            if span.start >= channel.covered or (channel.covered <= low < span.end and span.start < low):
                shown, findings = self._values.splice(text[: span.end], [_from(span, start)])
                self._report.add(findings, self._place)
                out.append(shown[start:])
                channel.covered = span.end
            low = min(span.end, high)
        out.append(text[low:high])
        return b"".join(out)

    @staticmethod
    def _forget(channel: _Channel) -> None:
        """Drop shown text but for its end."""
        drop = len(channel.text) - CONTEXT_BYTES
        if channel.done == len(channel.text) and drop > CONTEXT_BYTES:
            channel.text = channel.text[drop:]
            channel.done = channel.cut = len(channel.text)
            channel.covered = 0
            channel.spans = ()


def _from(span: Span, start: int) -> Span:
    """A span whose beginning is shown already."""
    return span if span.start == start else span.cut(start, span.end, span.value)


def tail_of(text: bytes, done: int) -> int:
    """Where that begins which may be cut off: the last word, the digit groups at the end, an open private key."""
    cut = _word_start(text, len(text), done)
    for _ in range(_MAX_GROUPS):
        end = cut
        while end > done and text[end - 1] in _BLANKS:
            end -= 1
        start = _word_start(text, end, done)
        if start == end or not _DIGITS.fullmatch(text[start:end]):
            break
        cut = start
    begin = text.rfind(_BEGIN, max(done - len(_BEGIN), 0))
    if begin >= 0 and text.find(_END, begin) < 0:
        cut = min(cut, max(begin, done))
    return cut


def _word_start(text: bytes, end: int, done: int) -> int:
    return max(done, 1 + max(text.rfind(blank, done, end) for blank in (b" ", b"\n", b"\t", b"\r")))
