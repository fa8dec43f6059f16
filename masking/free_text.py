"""Names, places and the like in free text: found by a language model, when an operator has one installed.

A model guesses from context and takes milliseconds for a sentence, so it is only ever asked in the stream and by
`custody mask`, never inline. What detectors found stays theirs: a model's finds count outside of it only.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from masking.catalog import rule_version
from masking.detection import flatten
from masking.engine import Masker
from masking.free_text_finder import MAX_PIECE_CHARS, FreeTextFinder
from masking.model import MaskedText
from masking.names import NamedLabel
from masking.prefilter import Candidates
from masking.spans import Span, normalize, resolve
from schemas.config import Masking

OFF: Final = "off"
_NAMELIKE: Final = re.compile(rb"[A-Z][a-z'.]|[\xc3-\xf4][\x80-\xbf]")
_ENCODING: Final = "utf-8"
_ERRORS: Final = "surrogatepass"


def stream_version(finder: FreeTextFinder | None) -> str:
    """What is recorded as the rule version: the detector set, and whether free text was looked into, and by what."""
    return f"{rule_version()};free_text={OFF if finder is None else finder.version}"


def load_finder(settings: Masking) -> FreeTextFinder | None:
    """The finder that settings ask for; None when it is off. Loading takes seconds. Raises ConfigError when what it
    needs is not installed, saying what to install."""
    return FINDERS[settings.free_text](settings)


def _load_presidio(settings: Masking) -> FreeTextFinder:
    from masking.presidio import load_presidio  # heavy, and an extra: only who wants it pays for it

    return load_presidio(settings.free_text_model, settings.free_text_language)


FINDERS: Final[dict[str, Callable[[Masking], FreeTextFinder | None]]] = {
    OFF: lambda settings: None,
    "presidio": _load_presidio,
}


def make_masker(finder: FreeTextFinder | None, **options: Any) -> Masker:
    """A masker whose rule version says whether it looks into free text. `options` are the Masker's."""
    options["rule_version"] = stream_version(finder)
    return Masker(**options) if finder is None else FreeTextMasker(finder, **options)


class FreeTextMasker(Masker):
    """A masker that also asks a finder, about every text that has something like a name in it."""

    def __init__(self, finder: FreeTextFinder, **options: Any) -> None:
        super().__init__(**options)
        self._finder = finder

    def mask_batch(
        self,
        texts: Sequence[str],
        places: Sequence[str] | None = None,
        named: Sequence[NamedLabel | None] | None = None,
    ) -> list[MaskedText | None]:
        """As the engine's; texts of which none has anything like a name by its one scan."""
        told = [_NAMELIKE.search(text.encode(_ENCODING, _ERRORS)) is not None for text in texts]
        if not any(told):
            return super().mask_batch(texts, places, named)
        return self._mask_each(texts, places, self._known_of(texts, named) if named else {})

    def has_candidates(self, data: bytes) -> bool:
        """As the engine's."""
        return _NAMELIKE.search(data) is not None or super().has_candidates(data)

    def find_candidates(self, contents: Sequence[bytes]) -> list[int]:
        """As the engine's."""
        known = super().find_candidates(contents)
        return sorted({*known, *(index for index, data in enumerate(contents) if _NAMELIKE.search(data))})

    def find_spans(self, data: bytes, candidates: Candidates | None = None) -> list[Span]:
        """As the engine's."""
        flat = flatten(data)
        return self._find(data, flat, self._prefilter.candidates(flat) if candidates is None else candidates, 0)

    def _find(
        self, data: bytes, flat: bytes, candidates: Candidates, depth: int, known: Sequence[Span] = ()
    ) -> list[Span]:
        found = super()._find(data, flat, candidates, depth, known)
        return found if depth else self._add_free_text(data, found)

    def _add_free_text(self, data: bytes, found: list[Span]) -> list[Span]:
        if not _NAMELIKE.search(data):
            return found
        more = resolve(data, list(self._free_text(data)), found)
        return sorted([*found, *more], key=lambda span: span.start) if more else found

    def _free_text(self, data: bytes) -> Iterator[Span]:
        text = data.decode(_ENCODING, _ERRORS)
        base = 0
        for piece in pieces_of(text):
            places = _byte_offsets(piece)
            for start, end, label in self._finder.find(piece):
                start, end = _without_marks(piece, max(start, 0), min(end, len(piece)))
                if start < end:
                    low, high = base + places(start), base + places(end)
                    yield Span(low, high, label, 0, normalize(data[low:high], "lower"), low)
            base += places(len(piece))


def pieces_of(text: str) -> Iterator[str]:
    """The text in pieces of at most MAX_PIECE_CHARS, which together are the text."""
    start = 0
    while len(text) - start > MAX_PIECE_CHARS:
        end = start + MAX_PIECE_CHARS
        blank = max(text.rfind("\n", start, end), text.rfind(" ", start, end)) + 1
        end = blank if blank > start else end
        yield text[start:end]
        start = end
    if start < len(text):
        yield text[start:]


def _without_marks(text: str, start: int, end: int) -> tuple[int, int]:
    """Without the quotes, brackets and blanks that a model takes along: they belong to the text."""
    while start < end and not text[start].isalnum():
        start += 1
    while start < end and not text[end - 1].isalnum():
        end -= 1
    return start, end


def _byte_offsets(text: str) -> Callable[[int], int]:
    """From code points to bytes."""
    if text.isascii():
        return lambda point: point
    return lambda point: len(text[:point].encode(_ENCODING, _ERRORS))
