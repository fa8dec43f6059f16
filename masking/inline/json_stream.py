"""Masks JSON as it comes: tokens are passed on as they are, values that must go are replaced by valid JSON.

Memory is bounded: a token up to MAX_TOKEN_BYTES is held until it is whole, a longer string is masked in pieces. What
turns out to be no JSON is masked as text from there on. Several documents after one another (NDJSON) are fine.
"""

from typing import Final

from masking.inline.json_text import LongString, decode_string, encode_string, unescape
from masking.inline.json_walk import BOOLEAN, NUMBER, QUOTE, Slot, Walk
from masking.inline.model import Report
from masking.inline.text import TextRewriter
from masking.inline.values import NAMELESS, Name, ValueMasker
from masking.model import MaskedBytes

MAX_TOKEN_BYTES: Final = 65_536
MAX_NESTED: Final = 3  # JSON inside JSON strings
_BOM: Final = b"\xef\xbb\xbf"
_WORDS: Final = (b"true", b"false", b"null", b"Infinity", b"-Infinity", b"NaN")


class JsonRewriter:
    """A Rewriter of JSON. `ascii_only`: what is put in is escaped. `depth`: how deep in JSON strings this one is.
    `name`: of the whole, a column's say."""

    def __init__(
        self,
        values: ValueMasker,
        report: Report,
        place: str = "$",
        *,
        ascii_only: bool = False,
        depth: int = 0,
        name: Name = NAMELESS,
    ) -> None:
        self._values = values
        self._report = report
        self._ascii_only = ascii_only
        self._depth = depth
        self._walk = Walk(values, place, name)
        self._held = b""
        self._is_first = True
        self._string: LongString | None = None
        self._text: TextRewriter | None = None
        self._looked_at = b""  # the bytes that `_hits` are of
        self._hits: list[int] | None = None

    @property
    def is_holding(self) -> bool:
        """As the text has it that turned out to be none of JSON."""
        return self._text is not None and self._text.is_holding

    def feed(self, data: bytes) -> bytes:
        """Everything up to the last whole token."""
        return self._rewrite(data, is_last=False)

    def flush(self) -> bytes:
        """Nothing is held but an incomplete token, or text that turned out to be none of JSON."""
        return self._text.flush() if self._text is not None else b""

    def finish(self) -> bytes:
        """The rest; a token that the end cut off is masked as far as it goes."""
        if not self._held and self._string is None and self._text is None:
            return b""
        return self._rewrite(b"", is_last=True)

    def rewrite_whole(self, data: bytes) -> bytes:
        """A whole text at once; the very same when nothing in it had to change."""
        if not self._held:
            self._looked_at, self._hits = data, self._values.hit_ends(data)
            if self._hits == [] and not self._values.may_name(data):
                return data
        return self.feed(data) + self.finish()

    # -- pieces

    def _rewrite(self, data: bytes, *, is_last: bool) -> bytes:
        out: list[bytes] = []
        rest: bytes | None = data
        while rest is not None:
            if self._text is not None:
                out.append(self._text.feed(rest))
                if is_last:
                    out.append(self._text.finish())
                break
            rest = (
                self._pass_string(rest, out, is_last=is_last)
                if self._string is not None
                else self._pass_tokens(rest, out, is_last=is_last)
            )
        return b"".join(out)

    def _pass_string(self, data: bytes, out: list[bytes], *, is_last: bool) -> bytes | None:
        """A long string goes on. What follows it; None: its end has not come."""
        string = self._string
        if string is None:
            return data
        out.append(string.feed(data))
        if string.rest is None:
            if is_last:
                out.append(string.cut_off())
            return None
        self._string = None
        return string.rest

    def _pass_tokens(self, data: bytes, out: list[bytes], *, is_last: bool) -> bytes | None:
        """Walk over what is held and new. The bytes that another mode must go on with; None: there are none."""
        held = self._held
        if held[:1] == b'"' and QUOTE not in data and not is_last and len(held) + len(data) <= MAX_TOKEN_BYTES:
            self._held = held + data
            return None
        data, self._held = held + data if held else data, b""
        if self._is_first:
            self._is_first = False
            if data.startswith(_BOM):
                out.append(_BOM)
                data = data[len(_BOM) :]
        data = self._mask_siblings(data)
        hits = self._hits if data is self._looked_at else self._values.hit_ends(data)
        self._looked_at = b""
        position = self._walk.go(data, is_last=is_last, hits=hits)
        self._splice(data[:position], out)
        rest = data[position:]
        if not rest:
            return None
        if rest[0] == QUOTE:
            return self._hold_string(rest, out, is_last=is_last)
        if len(rest) <= MAX_TOKEN_BYTES and (rest[0] in NUMBER or any(word.startswith(rest) for word in _WORDS)):
            if is_last:  # the end cut it off
                out.append(rest)
            else:
                self._held = rest
            return None
        self._fall_back()
        return rest

    def _mask_siblings(self, data: bytes) -> bytes:
        """What other values in the same piece tell to be secret, replaced before the walk sees it."""
        masked, findings = self._values.mask_siblings(data)
        if not findings:
            return data
        self._report.add(findings, self._walk.place())
        return (
            masked.replace("‹".encode(), b"\\u2039").replace("›".encode(), b"\\u203a") if self._ascii_only else masked
        )

    # -- what is put in the place of values

    def _splice(self, data: bytes, out: list[bytes]) -> None:
        walk = self._walk
        slots = walk.slots
        if slots:
            position = 0
            outcomes = self._values.mask_suspects(walk.contents, walk.names, walk.wholes)
            for index in range(len(slots)):
                slot = slots[index]
                put = self._replacement(slot, walk.contents[index], outcomes[index])
                if put is not None:
                    out += (data[position : slot.start], put)
                    position = slot.end
            walk.forget()
            data = data[position:]
        out.append(data)

    def _replacement(self, slot: Slot, content: bytes, outcome: MaskedBytes | None) -> bytes | None:
        if slot.kind != QUOTE:
            return self._typed(slot, content, outcome)
        if content[:1] in (b"{", b"[") and not slot.is_key and not slot.is_whole and self._depth < MAX_NESTED:
            inner = self._nested(slot, content, has_hit=outcome is not None)
            if inner is not None:
                return inner
        if outcome is None or not outcome.findings:
            return None
        self._report.add(outcome.findings, slot.place())
        return self._encode(outcome.data)

    def _typed(self, slot: Slot, content: bytes, outcome: MaskedBytes | None) -> bytes | None:
        """A number or boolean goes as a whole or not at all."""
        if outcome is None or len(outcome.findings) != 1:
            return None
        (finding,) = outcome.findings
        if (finding.start, finding.end) != (0, len(content)):
            return None
        self._report.add(outcome.findings, slot.place())
        if not self._values.order.has_stand_ins:
            return b"null"
        return b"false" if slot.kind in BOOLEAN else b"0"

    def _nested(self, slot: Slot, content: bytes, *, has_hit: bool) -> bytes | None:
        """A string that is JSON itself, masked by its own structure. None: it is none, or nothing had to change."""
        if not has_hit and self._values.is_clean(content):
            return None
        before = self._report.total
        inner = JsonRewriter(self._values, self._report, slot.place(), depth=self._depth + 1)
        masked = inner.rewrite_whole(content)
        return self._encode(masked) if self._report.total > before else None

    def _encode(self, data: bytes) -> bytes:
        return encode_string(data, ascii_only=self._ascii_only)

    # -- what is not whole

    def _hold_string(self, rest: bytes, out: list[bytes], *, is_last: bool) -> bytes | None:
        """A string whose end has not come: held; or, when it is long or nothing follows, masked in pieces."""
        if not is_last and len(rest) <= MAX_TOKEN_BYTES:
            self._held = rest
            return None
        walk = self._walk
        beginning = rest[:MAX_TOKEN_BYTES] + b'"'
        is_key = walk.expects_key
        if is_key:  # no key is that long, but its value may be meant
            walk.enter_key(decode_string(beginning))
        is_hidden = not is_key and (walk.is_whole or walk.name.named is not None)
        place = walk.place()
        out.append(b'"')
        if is_hidden:
            token = self._values.mask_whole(unescape(beginning[1:-1]), walk.name)
            if token is not None:
                self._report.add(token.findings, place)
                out.append(self._encode(token.data)[1:-1])
        self._string = LongString(self._values, self._report, place, is_hidden=is_hidden, ascii_only=self._ascii_only)
        return rest[1:]

    def _fall_back(self) -> None:
        if not self._depth:
            self._values.miss_columns(self._report)
        self._text = TextRewriter(self._values, self._report, self._walk.place())
