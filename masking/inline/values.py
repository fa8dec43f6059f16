"""Masks values as one order says: the only place of inline masking that knows the engine.

An order without labels takes whatever the engine finds. With labels a span of another label is left, but looked into
again by itself: a card number in what was taken for a password is still a card number.
"""

import fnmatch
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Final

from masking import names
from masking.catalog import load_detectors
from masking.engine import Masker
from masking.inline.memo import MAX_RESULT_BYTES, MAX_VALUE_BYTES, Key, Memo, Outcome, ResultMemo
from masking.inline.model import MaskOrder, Report, Unreadable
from masking.model import Finding, MaskedBytes
from masking.names import NamedLabel
from masking.prefilter import Candidates
from masking.siblings import find_sibling_values
from masking.spans import Span, normalize, resolve

WHOLE_LABEL: Final = "column"
"""The label of a value that is masked whole, when its name says nothing about it."""

MIN_SECRET_BYTES: Final = 5
"""Shorter values are no secret but by their name: no detector takes less."""

_MAX_REMEMBERED: Final = 4096
_MAX_LOOKS: Final = 2
_BACKSLASH: Final = 0x5C
_ENCODING: Final = "utf-8"
_ERRORS: Final = "surrogatepass"


class Name:
    """What a key, column or header name means to an order. `named`: a value of this name is a secret by itself.
    `is_column`: the order names it, so all of its value goes. `is_suspect`: the name itself holds a secret."""

    def __init__(
        self, text: str, named: NamedLabel | None = None, is_column: bool = False, is_suspect: bool = False
    ) -> None:
        self.text = text
        self.named = named
        self.is_column = is_column
        self.is_suspect = is_suspect


NAMELESS: Final = Name("")


class ValueMasker:
    """One order's masking of single values. Not shared between threads."""

    def __init__(self, masker: Masker, order: MaskOrder, normalizers: Mapping[str, str]) -> None:
        unknown = sorted(set(order.labels) - normalizers.keys() - {WHOLE_LABEL})
        if unknown:
            raise ValueError(f"no detector has the label {', '.join(unknown)}")
        self.order = order
        self._masker = masker
        self._normalizers = normalizers
        self._labels = frozenset(order.labels)
        self._names = _compile([pattern for pattern in order.columns if "." not in pattern])
        self._paths = _compile([f"*.{pattern.removeprefix('$.')}" for pattern in order.columns if "." in pattern])
        self._hint = _compile_hint(order.columns)
        self.name_of = lru_cache(_MAX_REMEMBERED)(self._learn_name)
        self.tokens: dict[bytes, object] = {}
        """What the walk over JSON knows of keys seen lately, by their tokens; it keeps it small."""
        self._clean_places: set[str] = set()
        self._memo = Memo()
        self._results = ResultMemo()
        self.has_paths = self._paths is not None
        self.has_key_names = self._hint is not None

    def new_report(self) -> Report:
        """For one answer."""
        return Report(self._mask_places)

    def miss_columns(self, report: Report) -> None:
        """Content without names to look for. Raises Unreadable when the order names columns and is strict."""
        if not self.order.columns:
            return
        report.unread = "the content is no JSON, so the columns that policy names cannot be found in it"
        if self.order.is_strict:
            raise Unreadable(report.unread)

    def wants(self, label: str) -> bool:
        """Whether values of this label are masked."""
        return not self._labels or label in self._labels

    def is_path(self, path: str) -> bool:
        """Whether the order names the dotted path of keys down to a value."""
        return self._paths is not None and self._paths.fullmatch(f".{path}") is not None

    def is_clean(self, data: bytes) -> bool:
        """Whether surely nothing in these bytes (a JSON text, a row) would be masked."""
        return not self.may_name(data) and not self._masker.has_candidates(data)

    def may_name(self, data: bytes) -> bool:
        """Whether these bytes (a JSON text, a row) may have a key that the order names."""
        return self._hint is not None and (_BACKSLASH in data or self._hint.search(data) is not None)

    def hit_ends(self, data: bytes) -> list[int] | None:
        """The last byte of each place where a detector may find something by content, rising. None: anywhere."""
        return self._masker.hit_ends(data)

    def mask_values(
        self, contents: Sequence[bytes], names_of: Sequence[Name], wholes: Sequence[bool]
    ) -> list[MaskedBytes | None]:
        """Each content (UTF-8) masked; None where nothing had to change. `wholes`: all of it goes."""
        found = self._masker.candidates_in(contents)
        return [
            None
            if (index not in found and name.named is None and not is_whole)
            else self.mask_found(data, name, is_whole, found.get(index))
            for index, (data, name, is_whole) in enumerate(zip(contents, names_of, wholes, strict=True))
        ]

    def mask_suspects(
        self, contents: list[bytes], names_of: list[Name], wholes: list[bool]
    ) -> list[MaskedBytes | None]:
        """The same, for contents in most of which something is: those seen lately are not looked at again."""
        memo = self._memo
        outcomes: list[MaskedBytes | None] = []
        keys: list[Key | None] = []
        unknown: list[int] = []
        unseen: list[bytes] = []
        for index in range(len(contents)):
            key = self._key_of(contents[index], names_of[index], wholes[index])
            known = memo.find(key) if key is not None else None
            keys.append(key)
            outcomes.append(known[0] if known is not None else None)
            if known is None:
                unknown.append(index)
                unseen.append(contents[index])
        if unknown:
            found = self._masker.candidates_in(unseen)
            for number, index in enumerate(unknown):
                outcome = self._mask_value(contents[index], names_of[index], wholes[index], found.get(number))
                outcomes[index] = outcome
                if (key := keys[index]) is not None:
                    memo.keep(key, outcome)
        return outcomes

    def candidates_in(self, contents: Sequence[bytes]) -> dict[int, Candidates]:
        """As the engine's: index of each content in which a detector may find something -> what `mask_found` takes."""
        return self._masker.candidates_in(contents)

    def mask_found(self, data: bytes, name: Name, is_whole: bool, candidates: Candidates | None) -> MaskedBytes | None:
        """One content as `mask_values` does. `candidates`: of candidates_in, None for one that it does not tell."""
        key = self._key_of(data, name, is_whole)
        if key is None:
            return self._mask_value(data, name, is_whole, candidates)
        known = self._memo.find(key)
        if known is None:
            known = (self._mask_value(data, name, is_whole, candidates),)
            self._memo.keep(key, known[0])
        return known[0]

    def mask_result(
        self, form: bytes, data: bytes, report: Report, mask: Callable[[Report], bytes | None]
    ) -> bytes | None:
        """What `mask` makes of a result (None: nothing has to change), or made of it the last time, when it is small.

        `form`: all that the outcome depends on besides `data` and the order.
        """
        if len(data) > MAX_RESULT_BYTES:
            return mask(report)
        results = self._results
        key = results.key_of(form, data)
        known = results.find(key)
        if known is None:
            own = self.new_report()
            try:
                known = Outcome(mask(own), own)
            except BaseException:
                report.merge(own)
                raise
            results.keep(key, known)
        report.merge(known.report)
        return known.masked

    def forget(self) -> None:
        """What was remembered of values: the token key has changed."""
        self._memo.forget()
        self._results.forget()

    def _key_of(self, data: bytes, name: Name, is_whole: bool) -> Key | None:
        if len(data) > MAX_VALUE_BYTES:
            return None
        return self._memo.key_of(data, name.text if is_whole or name.named is not None else "", is_whole=is_whole)

    def _mask_value(self, data: bytes, name: Name, is_whole: bool, candidates: Candidates | None) -> MaskedBytes | None:
        if is_whole:
            return self.mask_whole(data, name, is_plain=candidates is None)
        outcome = self._mask_named(data, name.named, candidates is None) if name.named is not None else None
        if outcome is None and candidates is not None:
            outcome = self.mask_content(data, candidates)
        return outcome

    def mask_content(self, data: bytes, candidates: Candidates | None = None) -> MaskedBytes | None:
        """One value without a name; None when nothing had to change. `candidates`: see Masker.find_spans."""
        spans = self.find_spans(data, candidates)
        return self._spliced(data, spans) if spans else None

    def mask_whole(self, data: bytes, name: Name = NAMELESS, *, is_plain: bool = False) -> MaskedBytes | None:
        """All of a value, under the label that its name has; None for an empty one. `is_plain`: no detector hits."""
        if not data:
            return None
        named = names.label_of(name.text) if name.text else None
        return self._put(data, (0, len(data)), named.label if named else WHOLE_LABEL, is_plain)

    def mask_parts(self, data: bytes, parts: Sequence[tuple[int, int]], label: str) -> MaskedBytes | None:
        """Disjoint parts (offsets, rising) under a label, and whatever detectors know besides."""
        try:
            text = data.decode(_ENCODING)
        except UnicodeDecodeError:
            return self._parts_of_binary(data, parts, label)
        masked = self._masker.mask_parts(text, parts, label)
        findings = masked.findings
        if not findings:
            return None
        if len(findings) == 1 and (findings[0].start, findings[0].end) == (0, len(text)):  # offsets: code points
            findings = (findings[0]._replace(end=len(data)),)
        return MaskedBytes(masked.text.encode(_ENCODING, _ERRORS), findings)

    def mask_siblings(self, data: bytes) -> tuple[bytes, tuple[Finding, ...]]:
        """JSON in which what is told by other values is replaced; the structure stays."""
        hits = [hit for hit in find_sibling_values(data) if hit[2] is not None and self.wants(hit[2])]
        spans = resolve(data, self._masker.known_spans(data, hits)) if hits else []
        return self._masker.splice(data, spans) if spans else (data, ())

    def find_spans(self, data: bytes, candidates: Candidates | None = None) -> list[Span]:
        """As the engine's, of the order's labels only."""
        spans = self._masker.find_spans(data, candidates)
        if not self._labels or not spans:
            return spans
        return [kept for span in spans for kept in self._wanted(data, span, _MAX_LOOKS)]

    def splice(self, data: bytes, spans: list[Span]) -> tuple[bytes, tuple[Finding, ...]]:
        """As the engine's."""
        return self._masker.splice(data, spans)

    # -- parts

    def _spliced(self, data: bytes, spans: list[Span]) -> MaskedBytes:
        return tuple.__new__(MaskedBytes, self._masker.splice(data, spans))  # what its own constructor calls

    def _learn_name(self, text: str) -> Name:
        named = names.label_of(text) if text else None
        if named is not None and self._labels and named.label not in self._labels:
            named = None
        is_column = self._names is not None and self._names.fullmatch(text) is not None
        return Name(text, named, is_column, self.mask_content(text.encode(_ENCODING, _ERRORS)) is not None)

    def _mask_named(self, data: bytes, named: NamedLabel, is_plain: bool) -> MaskedBytes | None:
        part = names.secret_span(named, data)
        return self._put(data, part, named.label, is_plain) if part is not None else None

    def _put(self, data: bytes, part: tuple[int, int], label: str, is_plain: bool) -> MaskedBytes | None:
        """A part replaced; whatever detectors know besides, too."""
        start, end = part
        if is_plain and data.find(b"\xe2\x80\xb9") < 0:
            return self._spliced(data, [self._span(data, start, end, label)])
        return self.mask_parts(data, [part], label)

    def _span(self, data: bytes, start: int, end: int, label: str) -> Span:
        value = normalize(data[start:end], self._normalizers.get(label, "none"))
        return Span(start, end, label, 0, value, start)

    def _parts_of_binary(self, data: bytes, parts: Sequence[tuple[int, int]], label: str) -> MaskedBytes | None:
        """As mask_parts, for what is no UTF-8."""
        spans = [self._span(data, start, end, label) for start, end in parts]
        others = [s for s in self.find_spans(data) if all(s.end <= low or s.start >= high for low, high in parts)]
        return self._spliced(data, sorted([*spans, *others], key=lambda span: span.start))

    def _wanted(self, data: bytes, span: Span, looks: int) -> list[Span]:
        """The span when it is of a wanted label, else what of its inside is."""
        if span.label in self._labels or any(inner.label in self._labels for inner in span.inner):
            return [span]
        if not looks:
            return []
        inside = data[span.start : span.end]
        found = (self._wanted(inside, inner, looks - 1) for inner in self._masker.find_spans(inside))
        return [inner.moved(span.start) for each in found for inner in each]

    def _mask_places(self, places: Sequence[str]) -> list[str]:
        """Places are mostly the same few: those without anything in them are remembered."""
        known = self._clean_places
        if known.issuperset(places):
            return list(places)
        outcomes = self._masker.mask_batch(places)
        if len(known) >= _MAX_REMEMBERED:
            known.clear()
        known.update(place for place, found in zip(places, outcomes, strict=True) if found is None)
        return [outcome.text if outcome else place for place, outcome in zip(places, outcomes, strict=True)]


class ValueMaskers:
    """One masker's orders, each made once."""

    def __init__(self, masker: Masker) -> None:
        self._masker = masker
        self._normalizers = dict.fromkeys(names.all_labels(), "none")
        self._normalizers |= {detector.label: detector.normalize for detector in load_detectors()}
        self._made: dict[MaskOrder, ValueMasker] = {}

    def masker_for(self, order: MaskOrder) -> ValueMasker:
        """Raises ValueError for labels that no detector has."""
        made = self._made.get(order)
        if made is None:
            made = self._made[order] = ValueMasker(self._masker, order, self._normalizers)
        return made

    def forget(self) -> None:
        """What was remembered of values: the token key has changed."""
        for made in self._made.values():
            made.forget()


def _compile(patterns: Sequence[str]) -> re.Pattern[str] | None:
    if not patterns:
        return None
    return re.compile("|".join(fnmatch.translate(pattern) for pattern in patterns), re.IGNORECASE)


def _compile_hint(patterns: Sequence[str]) -> re.Pattern[bytes] | None:
    """Finds a piece of each pattern's last part: without one no key of a JSON text without escapes is meant."""
    if not patterns:
        return None
    literals = {_longest_literal(pattern.rpartition(".")[2]) for pattern in patterns}
    parts = {re.escape(part).encode() if part.isascii() else b"" for part in literals}
    return re.compile(b"|".join(sorted(parts)), re.IGNORECASE)


def _longest_literal(pattern: str) -> str:
    return max(re.split(r"[*?]|\[[^\]]*\]", pattern), key=len)
