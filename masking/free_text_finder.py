"""What finds personal data in prose: the contract between the masker and a language model, and the labels of it."""

from collections.abc import Sequence
from typing import Final, Protocol

PERSON: Final = "person"
LOCATION: Final = "location"
AFFILIATION: Final = "affiliation"
FREE_TEXT_LABELS: Final = frozenset({PERSON, LOCATION, AFFILIATION})

MAX_PIECE_CHARS: Final = 10_000
"""A longer text is shown to the model in pieces, cut at a blank where there is one."""

Found = tuple[int, int, str]
"""(start, end, label) in code points of the text that was asked about."""


class FreeTextFinder(Protocol):
    """What finds personal data in prose. Not shared between threads."""

    @property
    def version(self) -> str:
        """Names software and model: it is recorded with what was masked."""

    def find(self, text: str) -> Sequence[Found]:
        """What to mask in a text of at most MAX_PIECE_CHARS; may overlap, in any order."""
