"""The masking engine: prefilter over everything, RE2 for the span, validator last; then replace by tokens.

Pure but for its construction (compiling). One Masker serves one thread. Time is linear in the text: no engine
here backtracks. Masking what is masked already changes nothing. Compiled where a C compiler is at hand
(deploy/native.py).
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Final

from mypy_extensions import mypyc_attr

from masking import layers, names
from masking.cards import CARD_FORMATS
from masking.catalog import load_detectors
from masking.detection import flatten, look_of
from masking.model import Detector, Finding, Hit, MaskedBytes, MaskedText, Tokens
from masking.names import NamedLabel
from masking.prefilter import EDGE, Candidates, Gate, Kept, build_prefilter
from masking.spans import Masked, Span, any_touches_word, blank, mark, normalize, replacement_of, resolve, splice

_UNCHANGED_JOIN: Final = EDGE.decode()
_ENCODING: Final = "utf-8"
_ERRORS: Final = "surrogatepass"
_MAX_ROUNDS: Final = 3
_LAYER_PRIORITY: Final = 1
_NAME_PRIORITY: Final = 2
_SURE_PRIORITY: Final = 7
_JOIN_PRIORITY: Final = {"continued": 2, "broken": 7}  # how sure a span across such a break must be


@mypyc_attr(allow_interpreted_subclasses=True)
class Masker:
    """Masks texts, named values, rows, headers and JSON with one set of detectors and one token key.

    `rule_version` names the set; it is recorded with what was masked. `engine` is auto, hyperscan or keywords.
    `cards` is how a payment card is shown: token (‹payment_card:…›), digits (a number of that length and grouping
    that no issuer has), or last4 (the same, with the card's last four digits). `kept` saves compiling at each start.
    """

    def __init__(
        self,
        detectors: Sequence[Detector] | None = None,
        tokens: Tokens | None = None,
        rule_version: str = "",
        engine: str = "auto",
        cards: str = "token",
        kept: Kept | None = None,
    ) -> None:
        if tokens is None:
            raise ValueError("a masker needs a token key")
        if cards not in CARD_FORMATS:
            raise ValueError(f"cards is one of {CARD_FORMATS}")
        self._cards = cards
        self._detectors = tuple(load_detectors() if detectors is None else detectors)
        self._normalize = {detector.label: detector.normalize for detector in self._detectors}
        self._tokens = tokens
        self.rule_version = rule_version
        self._looks = [look_of(detector) for detector in self._detectors]
        gates = [Gate(detector.keywords, detector.gates) for detector in self._detectors]
        self._first_view = len(gates)
        gates += [layer.gate for layer in layers.VIEWS]
        self._wrapped = len(gates)
        self._prefilter = build_prefilter([*gates, layers.WRAPPED_GATE], engine, kept)

    def mask_text(self, text: str, place: str = "") -> MaskedText:
        """Mask one text. Without a hit the very same text comes back."""
        data = text.encode(_ENCODING, _ERRORS)
        return self._build(text, data, self.find_spans(data), place) or MaskedText(text)

    def mask_batch(
        self,
        texts: Sequence[str],
        places: Sequence[str] | None = None,
        named: Sequence[NamedLabel | None] | None = None,
    ) -> list[MaskedText | None]:
        """Mask many texts with one scan over all of them; None stands for a text without a hit.

        `named`: what the name beside each text says of it, as `mask_named` asks for.
        """
        result: list[MaskedText | None] = [None] * len(texts)
        joined = f"\0{_UNCHANGED_JOIN.join(texts)}\0".encode(_ENCODING, _ERRORS)
        flat = flatten(joined)
        located = self._prefilter.locate(flat)
        known = self._known_of(texts, named) if named else {}
        if located is None:
            return self._mask_each(texts, places, known)
        if not located and not known:
            return result
        ends = _ends(texts, len(joined))
        suspects: dict[int, Candidates] = {index: {} for index in known}
        suspects.update(_by_text(located, ends))
        # A column mostly says the same again: what was made of a text serves where it stands again under that name.
        made: dict[tuple[str, NamedLabel | None], MaskedText | None] = {}
        for index, candidates in suspects.items():
            text, place = texts[index], places[index] if places else ""
            key = (text, named[index] if named else None)
            if key not in made:
                low, high = ends[index - 1] + 1 if index else 1, ends[index]
                data = joined[low:high]
                flat_data = data if flat is joined else flat[low:high]
                made[key] = self._build(
                    text, data, self._find(data, flat_data, candidates, 0, known.get(index, ())), ""
                )
            result[index] = _at_place(made[key], place) if place else made[key]
        return result

    def _mask_each(
        self, texts: Sequence[str], places: Sequence[str] | None, known: Mapping[int, Sequence[Span]]
    ) -> list[MaskedText | None]:
        return [
            self._mask_known(text, known.get(index, ()), places[index] if places else "")
            for index, text in enumerate(texts)
        ]

    def _mask_known(self, text: str, known: Sequence[Span], place: str) -> MaskedText | None:
        data = text.encode(_ENCODING, _ERRORS)
        flat = flatten(data)
        return self._build(text, data, self._find(data, flat, self._prefilter.candidates(flat), 0, known), place)

    def _known_of(self, texts: Sequence[str], named: Sequence[NamedLabel | None]) -> dict[int, list[Span]]:
        """The spans that names make secret, by index."""
        found: dict[int, list[Span]] = {}
        made: dict[tuple[str, NamedLabel], list[Span]] = {}
        for index, (text, name) in enumerate(zip(texts, named, strict=True)):
            if name is not None:
                key = (text, name)
                spans = made.get(key)
                if spans is None:
                    data = text.encode(_ENCODING, _ERRORS)
                    part = names.secret_span(name, data)
                    spans = made[key] = self.known_spans(data, [(*part, name.label)]) if part is not None else []
                if spans:
                    found[index] = spans
        return found

    def mask_bytes(self, data: bytes, place: str = "") -> MaskedBytes:
        """Mask UTF-8 (or any ASCII-based) bytes. Findings' offsets are bytes here."""
        spans = self.find_spans(data)
        if not spans:
            return MaskedBytes(data)
        masked, reports = splice(data, spans, self._tokens, self._cards)
        return MaskedBytes(masked, _findings(reports, place))

    def mask_named(self, name: str, value: str, place: str = "") -> MaskedText:
        """Mask a value whose name is known (a JSON key, column, header, parameter): the name wins over guessing."""
        known = self._known_of((value,), (names.label_of(name),))
        return self._mask_known(value, known.get(0, ()), place) or MaskedText(value)

    def mask_parts(self, text: str, parts: Sequence[tuple[int, int]], label: str, place: str = "") -> MaskedText:
        """Mask the given parts (offsets in UTF-8 bytes) as `label`, and whatever detectors find besides."""
        known = self.known_spans(text.encode(_ENCODING, _ERRORS), ((start, end, label) for start, end in parts))
        return self._mask_known(text, known, place) or MaskedText(text)

    def known_spans(self, data: bytes, hits: Iterable[Hit]) -> list[Span]:
        """Spans for parts (bytes) that are known to be secret, each under the label that it has."""
        normalizers = self._normalize
        return [
            Span(start, end, label, _NAME_PRIORITY, normalize(data[start:end], normalizers.get(label, "none")), start)
            for start, end, label in hits
            if label is not None
        ]

    def has_candidates(self, data: bytes) -> bool:
        """False: nothing in these bytes can be masked, be it by content, by a JSON key or by a column name."""
        return bool(self._prefilter.candidates(flatten(data)))

    def hit_ends(self, data: bytes) -> list[int] | None:
        """Where something may be found: the last byte of each hit, rising. Empty: as `has_candidates` says False.
        None: anywhere."""
        return self._prefilter.hit_ends(flatten(data))

    def find_candidates(self, contents: Sequence[bytes]) -> list[int]:
        """Which of the contents have candidates, rising, by one scan over all of them."""
        located = self._prefilter.locate(flatten(b"".join((EDGE, EDGE.join(contents), EDGE))))
        if located is None:
            return [index for index, content in enumerate(contents) if self.has_candidates(content)]
        ends = _content_ends(contents)
        found = {bisect_left(ends, end - 1) for _, _, end in located}
        return sorted([index for index in found if index < len(contents)])

    def candidates_in(self, contents: Sequence[bytes]) -> dict[int, Candidates]:
        """Index of each content with candidates -> them, for `find_spans`; by one scan over all contents."""
        joined = b"".join((EDGE, EDGE.join(contents), EDGE))
        located = self._prefilter.locate(flatten(joined))
        if located is None:
            each = ((index, self._prefilter.candidates(flatten(content))) for index, content in enumerate(contents))
            return {index: candidates for index, candidates in each if candidates}
        return _by_text(located, _content_ends(contents)) if located else {}

    def find_spans(self, data: bytes, candidates: Candidates | None = None) -> list[Span]:
        """Disjoint spans to mask, in order. `candidates`: of these bytes, when they are known already."""
        flat = flatten(data)
        if candidates is None:
            candidates = self._prefilter.candidates(flat)
        return self._find(data, flat, candidates, 0) if candidates else []

    def splice(self, data: bytes, spans: list[Span]) -> tuple[bytes, tuple[Finding, ...]]:
        """`data` with `spans` (of find_spans) replaced. Findings' offsets are bytes."""
        masked, reports = splice(data, spans, self._tokens, self._cards)
        return masked, _findings(reports, "")

    # ── finding ──

    def _find(
        self, data: bytes, flat: bytes, candidates: Candidates, depth: int, known: Sequence[Span] = ()
    ) -> list[Span]:
        """Disjoint spans. What stood glued to a found span is looked at again: once that is a token, detectors see
        an edge there, and masking a second time must not find more than the first."""
        found = self._spans(data, flat, candidates, depth)
        spans = resolve(data, [*known, *found] if known else found)
        return self._look_again(data, spans, depth) if any_touches_word(data, spans) else spans

    def _look_again(self, data: bytes, spans: list[Span], depth: int) -> list[Span]:
        # Apart from `_find`, which would make the lambda each time and seldom need it.
        for _ in range(_MAX_ROUNDS):
            rest = blank(data, spans)
            flat = flatten(rest)
            more = resolve(rest, self._spans(rest, flat, self._prefilter.candidates(flat), depth), spans)
            if not more:
                break
            spans = sorted([*spans, *more], key=lambda span: span.start)
            if not any_touches_word(data, spans):
                break
        return spans

    def _spans(self, data: bytes, flat: bytes, candidates: Candidates, depth: int) -> list[Span]:
        spans: list[Span] = []
        has_view = False
        for gate, where in candidates.items():
            if gate < self._first_view:
                spans.extend(self._looks[gate](flat, data, where))
            elif gate <= self._wrapped and depth < layers.MAX_DEPTH:
                if gate == self._wrapped:
                    spans.extend(self._look_through_wrapped(data, spans, depth))
                else:
                    spans.extend(self._look_through_view(data, gate, depth))
                    has_view = True
        return _without_overruns(spans) if has_view else spans

    def _look_through_view(self, data: bytes, gate: int, depth: int) -> Iterator[Span]:
        layer = layers.VIEWS[gate - self._first_view]
        is_join = layer.name in layers.JOINS
        view = layer.view(data)
        if view is None:
            return
        flat = flatten(view.data)
        for span in self._spans(view.data, flat, self._prefilter.candidates(flat), depth + 1):
            start, end = view.outer(span.start, span.end)
            context_start, _ = view.outer(span.context_start, span.context_start)
            is_touched = end - context_start != span.end - span.context_start
            if is_join and (end - start == span.end - span.start or span.priority < _JOIN_PRIORITY[layer.name]):
                continue  # not across a break, or no more than a guess
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

    def _look_through_wrapped(self, data: bytes, known: Sequence[Span], depth: int) -> list[Span]:
        """What is encoded, outside of what is known to be a secret as a whole (a JSON web token, a key)."""
        sure = [(span.start, span.end) for span in known if span.priority >= _SURE_PRIORITY]
        runs = list(layers.find_wrapped(flatten(data), sure))
        return list(self._spans_of_runs(data, runs, depth))

    def _spans_of_runs(self, data: bytes, runs: Sequence[layers.Wrapped], depth: int) -> Iterator[Span]:
        contents = [run.data for run in runs]
        if not contents or self._prefilter.locate(EDGE + EDGE.join(contents) + EDGE) == []:
            return
        for run in runs:
            flat = flatten(run.data)
            candidates = self._prefilter.candidates(flat)
            spans = self._find(run.data, flat, candidates, depth + 1) if candidates else []
            if not spans:
                continue
            masked, reports = splice(run.data, spans, self._tokens, self._cards)
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

    def _build(self, text: str, data: bytes, spans: list[Span], place: str) -> MaskedText | None:
        if not spans:
            return None
        points = [(s.start, s.end) for s in spans] if len(text) == len(data) else list(_code_points(text, data, spans))
        pieces: list[str] = []
        findings: list[Finding] = []
        position = 0
        for span, (start, end) in zip(spans, points, strict=True):
            found = span.inner or (Masked(span.label, self._tokens.token(span.value), span.layers),)
            replacement = replacement_of(span, found, data, self._cards)
            pieces += (text[position:start], replacement.decode(_ENCODING, _ERRORS))
            findings += [_finding(each, start, end, place) for each in found]
            position = end
        pieces.append(text[position:])
        return MaskedText("".join(pieces), tuple(findings))


def _at_place(masked: MaskedText | None, place: str) -> MaskedText | None:
    if masked is None:
        return None
    return MaskedText(masked.text, tuple(finding._replace(place=place) for finding in masked.findings))


def _ends(texts: Sequence[str], size: int) -> list[int]:
    """Where each text ends among the joined ones, in bytes, the first EDGE counted."""
    ends = list(accumulate([len(text) + 1 for text in texts]))
    if (ends[-1] if ends else 0) + 1 != size:  # not all ASCII
        return _content_ends([text.encode(_ENCODING, _ERRORS) for text in texts])
    return ends


def _content_ends(contents: Sequence[bytes]) -> list[int]:
    """The same of bytes."""
    ends: list[int] = []
    end = 0
    for content in contents:
        end += len(content) + 1
        ends.append(end)
    return ends


def _by_text(located: list[tuple[int, int, int]], ends: list[int]) -> dict[int, Candidates]:
    """Index of each text in which something hit -> its candidates. A text's first byte follows the EDGE before it."""
    found: dict[int, Candidates] = {}
    mixed: set[int] = set()  # the texts whose gates may not be rising
    highest, of_text = -1, -1
    last, index = len(ends), 0
    for gate, where, end in located:
        if not (index < last and (ends[index - 1] if index else 0) < end - 1 <= ends[index]):
            index = bisect_left(ends, end - 1)
        if index >= last:
            continue
        start = ends[index - 1] + 1 if index else 1
        gates = found.get(index)
        if gates is None:
            found[index] = {gate: [where - start]}
            highest, of_text = gate, index
        elif (places := gates.get(gate)) is not None:
            places.append(where - start)
        else:
            gates[gate] = [where - start]
            if index == of_text and gate > highest:
                highest = gate
            else:
                mixed.add(index)
    for index in mixed:
        found[index] = dict(sorted(found[index].items()))
    return found


def _without_overruns(spans: list[Span]) -> list[Span]:
    """Without spans that run on into the next line where the value is whole on the first one already."""
    broken = [span for span in spans if span.layers[:1] == ("broken",)]
    if not broken:
        return spans
    plain = {span.start for span in spans if not span.layers and span.priority >= _JOIN_PRIORITY["broken"]}
    return [span for span in spans if span.layers[:1] != ("broken",) or span.start not in plain]


def _wrapped_in(layer: str, masked: Masked) -> Masked:
    return Masked(masked.label, masked.token, (layer, *masked.layers))


def _finding(masked: Masked, start: int, end: int, place: str) -> Finding:
    # A NamedTuple's own constructor is Python code that makes this same call.
    return tuple.__new__(Finding, (masked.label, masked.token, start, end, place, masked.layers))


def _findings(reports: list[tuple[Span, tuple[Masked, ...]]], place: str) -> tuple[Finding, ...]:
    return tuple([_finding(masked, span.start, span.end, place) for span, found in reports for masked in found])


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
