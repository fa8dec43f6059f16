"""The masking engine: prefilter over everything, RE2 for the span, validator last; then replace by tokens.

Pure but for its construction (compiling). One Masker serves one thread. Time is linear in the text: no engine
here backtracks. Masking what is masked already changes nothing.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Final

from masking import layers, names
from masking.catalog import load_detectors
from masking.model import Detector, Finding, MaskedBytes, MaskedText, Tokens
from masking.prefilter import EDGE, Gate, build_prefilter
from masking.spans import TOKEN, Masked, Span, blank, mark, normalize, resolve, splice, touches_word

CONTEXT_BYTES: Final = 64  # how near a context word must stand
_UNCHANGED_JOIN: Final = EDGE.decode()
_ENCODING: Final = "utf-8"
_ERRORS: Final = "surrogatepass"
_QUOTED_NAME: Final = Gate((), rb"""(?i)(?:%s)[0-9]{0,3}\\{0,4}["'`]""" % names.NAMES.encode())
_MAX_ROUNDS: Final = 3
_LAYER_PRIORITY: Final = 1
_NAME_PRIORITY: Final = 2


class Masker:
    """Masks texts, named values, rows, headers and JSON with one set of detectors and one token key.

    `rule_version` names the set; it is recorded with what was masked. `engine` is auto, hyperscan or keywords.
    """

    def __init__(
        self,
        detectors: Sequence[Detector] | None = None,
        tokens: Tokens | None = None,
        rule_version: str = "",
        engine: str = "auto",
    ) -> None:
        if tokens is None:
            raise ValueError("a masker needs a token key")
        self._detectors = tuple(load_detectors() if detectors is None else detectors)
        self._normalize = {detector.label: detector.normalize for detector in self._detectors}
        self._tokens = tokens
        self.rule_version = rule_version
        gates = [Gate(detector.keywords, detector.gate) for detector in self._detectors]
        self._first_view = len(gates)
        gates += [layer.gate for layer in layers.VIEWS]
        self._wrapped = len(gates)
        self._quoted_name = self._wrapped + 1
        self._prefilter = build_prefilter([*gates, layers.WRAPPED_GATE, _QUOTED_NAME], engine)

    def mask_text(self, text: str, place: str = "") -> MaskedText:
        """Mask one text. Without a hit the very same text comes back."""
        data = text.encode(_ENCODING, _ERRORS)
        gates = self._prefilter.candidates(data)
        return (self._mask_candidate(text, data, gates, place) if gates else None) or MaskedText(text)

    def mask_batch(self, texts: Sequence[str], places: Sequence[str] | None = None) -> list[MaskedText | None]:
        """Mask many texts with one scan over all of them; None stands for a text without a hit."""
        result: list[MaskedText | None] = [None] * len(texts)
        for index, gates in self._candidates_of(texts):
            text = texts[index]
            place = places[index] if places else ""
            result[index] = self._mask_candidate(text, text.encode(_ENCODING, _ERRORS), gates, place)
        return result

    def mask_bytes(self, data: bytes, place: str = "") -> MaskedBytes:
        """Mask UTF-8 (or any ASCII-based) bytes. Findings' offsets are bytes here."""
        spans = self.find_spans(data)
        if not spans:
            return MaskedBytes(data)
        masked, reports = splice(data, spans, self._tokens)
        return MaskedBytes(
            masked,
            tuple(_finding(m, span.start, span.end, place) for span, found in reports for m in found),
        )

    def mask_named(self, name: str, value: str, place: str = "") -> MaskedText:
        """Mask a value whose name is known (a JSON key, column, header, parameter): the name wins over guessing."""
        named = names.label_of(name)
        if named is None:
            return self.mask_text(value, place)
        part = names.secret_span(named, value.encode(_ENCODING, _ERRORS))
        return self.mask_parts(value, [part] if part else [], named.label, place)

    def mask_parts(self, text: str, parts: Sequence[tuple[int, int]], label: str, place: str = "") -> MaskedText:
        """Mask the given parts (offsets in UTF-8 bytes) as `label`, and whatever detectors find besides."""
        data = text.encode(_ENCODING, _ERRORS)
        how = self._normalize.get(label, "none")
        known = [
            Span(start, end, label, _NAME_PRIORITY, normalize(data[start:end], how), start) for start, end in parts
        ]
        spans = self._find(data, self._prefilter.candidates(data), 0, known)
        return self._build(text, data, spans, place) or MaskedText(text)

    def has_candidates(self, data: bytes) -> bool:
        """False: nothing in these bytes can be masked, be it by content, by a JSON key or by a column name."""
        return bool(self._prefilter.candidates(data))

    def find_candidates(self, contents: Sequence[bytes]) -> list[int]:
        """Which of the contents have candidates, rising, by one scan over all of them."""
        located = self._prefilter.locate(b"".join((EDGE, EDGE.join(contents), EDGE)))
        if located is None:
            return [index for index, content in enumerate(contents) if self.has_candidates(content)]
        ends = list(accumulate((len(content) + 1 for content in contents), initial=0))[1:]
        found = {bisect_left(ends, end - 1) for _, end in located}
        return sorted(index for index in found if index < len(contents))

    def find_spans(self, data: bytes) -> list[Span]:
        """Disjoint spans to mask, in order."""
        gates = self._prefilter.candidates(data)
        return self._find(data, gates, 0) if gates else []

    def splice(self, data: bytes, spans: list[Span]) -> tuple[bytes, tuple[Finding, ...]]:
        """`data` with `spans` (of find_spans) replaced. Findings' offsets are bytes."""
        masked, reports = splice(data, spans, self._tokens)
        return masked, tuple(_finding(m, span.start, span.end, "") for span, found in reports for m in found)

    # ── finding ──

    def _candidates_of(self, texts: Sequence[str]) -> Iterator[tuple[int, Sequence[int]]]:
        """(index, gates) of the texts in which something may hit."""
        joined = f"\0{_UNCHANGED_JOIN.join(texts)}\0".encode(_ENCODING, _ERRORS)
        located = self._prefilter.locate(joined)
        if located is None:
            candidates = self._prefilter.candidates
            each = ((index, candidates(text.encode(_ENCODING, _ERRORS))) for index, text in enumerate(texts))
            yield from ((index, gates) for index, gates in each if gates)
        elif located:
            yield from self._by_text(texts, located, len(joined))

    @staticmethod
    def _by_text(
        texts: Sequence[str], located: list[tuple[int, int]], size: int
    ) -> Iterator[tuple[int, Sequence[int]]]:
        lengths: Iterable[int] = map(len, texts)
        ends = list(accumulate((length + 1 for length in lengths), initial=0))[1:]
        if ends[-1] + 1 != size:  # not all ASCII
            ends = list(accumulate((len(text.encode(_ENCODING, _ERRORS)) + 1 for text in texts), initial=0))[1:]
        gates: dict[int, set[int]] = {}
        for gate, end in located:
            gates.setdefault(bisect_left(ends, end - 1), set()).add(gate)
        return ((index, sorted(found)) for index, found in sorted(gates.items()) if index < len(ends))

    def _find(self, data: bytes, gates: Sequence[int], depth: int, known: Sequence[Span] = ()) -> list[Span]:
        """Disjoint spans. What stood glued to a found span is looked at again: once that is a token, detectors see
        an edge there, and masking a second time must not find more than the first."""
        spans = resolve(data, [*known, *self._spans(data, gates, depth)])
        for _ in range(_MAX_ROUNDS):
            if not any(touches_word(data, span) for span in spans):
                break
            rest = blank(data, spans)
            more = resolve(rest, self._spans(rest, self._prefilter.candidates(rest), depth), spans)
            if not more:
                break
            spans = sorted([*spans, *more], key=lambda span: span.start)
        return spans

    def _spans(self, data: bytes, gates: Sequence[int], depth: int) -> list[Span]:
        spans: list[Span] = []
        for gate in gates:
            if gate < self._first_view:
                spans.extend(_detect(self._detectors[gate], data))
            elif gate <= self._wrapped and depth < layers.MAX_DEPTH:
                look = self._look_through_wrapped if gate == self._wrapped else self._look_through_view
                spans.extend(look(data, gate, depth))
        return spans

    def _look_through_view(self, data: bytes, gate: int, depth: int) -> Iterator[Span]:
        layer = layers.VIEWS[gate - self._first_view]
        view = layer.view(data)
        if view is None:
            return
        for span in self._spans(view.data, self._prefilter.candidates(view.data), depth + 1):
            start, end = view.outer(span.start, span.end)
            context_start, _ = view.outer(span.context_start, span.context_start)
            is_touched = end - context_start != span.end - span.context_start
            yield Span(
                start,
                end,
                span.label,
                span.priority,
                span.value,
                context_start,
                (layer.name, *span.layers) if is_touched else span.layers,
                tuple(_wrapped_in(layer.name, masked) for masked in span.inner),
            )

    def _look_through_wrapped(self, data: bytes, _gate: int, depth: int) -> Iterator[Span]:
        runs = list(layers.find_wrapped(data))
        contents = [run.data for run in runs]
        if not contents or self._prefilter.locate(EDGE + EDGE.join(contents) + EDGE) == []:
            return
        for run in runs:
            gates = self._prefilter.candidates(run.data)
            spans = self._find(run.data, gates, depth + 1) if gates else []
            if not spans:
                continue
            masked, reports = splice(run.data, spans, self._tokens)
            found = tuple(_wrapped_in(run.name, m) for _, each in reports for m in each)
            covered = sum(span.end - span.start for span in spans)
            keep = layers.is_worth_wrapping(run, covered)
            replacement = layers.wrap(run, masked) if keep else b"".join(map(mark, found))
            yield Span(
                run.start,
                run.end,
                found[0].label,
                _LAYER_PRIORITY,
                data[run.start : run.end],
                run.start,
                (run.name,),
                found,
                replacement,
            )

    # ── building ──

    def _mask_candidate(self, text: str, data: bytes, gates: Sequence[int], place: str) -> MaskedText | None:
        return self._build(text, data, self._find(data, gates, 0), place)

    def _build(self, text: str, data: bytes, spans: list[Span], place: str) -> MaskedText | None:
        if not spans:
            return None
        masked, reports = splice(data, spans, self._tokens)
        findings = tuple(
            _finding(each, start, end, place)
            for (_, found), (start, end) in zip(reports, _code_points(text, data, spans), strict=True)
            for each in found
        )
        return MaskedText(masked.decode(_ENCODING, _ERRORS), findings)


def _detect(detector: Detector, data: bytes) -> Iterator[Span]:
    for match in detector.pattern.finditer(data):
        if detector.context and not _has_context(detector, data, *match.span()):
            continue
        for start, end, label in detector.validator(data, match, detector.group):
            if start < end:
                value = normalize(data[start:end], detector.normalize)
                yield Span(start, end, label or detector.label, detector.priority, value, match.start())


def _has_context(detector: Detector, data: bytes, start: int, end: int) -> bool:
    around = TOKEN.sub(b"", data[max(0, start - CONTEXT_BYTES) : end + CONTEXT_BYTES // 2]).lower()
    return any(word in around for word in detector.context)


def _wrapped_in(layer: str, masked: Masked) -> Masked:
    return Masked(masked.label, masked.token, (layer, *masked.layers))


def _finding(masked: Masked, start: int, end: int, place: str) -> Finding:
    return Finding(masked.label, masked.token, start, end, place, masked.layers)


def _code_points(text: str, data: bytes, spans: list[Span]) -> Iterator[tuple[int, int]]:
    """Each span's offsets in code points of `text`."""
    if len(text) == len(data):
        yield from ((span.start, span.end) for span in spans)
        return
    position = points = 0
    for span in spans:
        start = points + len(data[position : span.start].decode(_ENCODING, _ERRORS))
        points = start + len(data[span.start : span.end].decode(_ENCODING, _ERRORS))
        position = span.end
        yield start, points
