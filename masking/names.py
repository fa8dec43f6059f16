"""What a name says about the value beside it: `customer_card_number`, `X-Api-Key`, `--db-password`."""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Final

import yaml

from masking.values import VALUE_SHAPES, Shape

MAX_NAME_CHARS: Final = 128
_CHUNK_CHARS: Final = 400
_BETWEEN: Final = "[ _.-]?"
_MAX_WORDS: Final = 4
_WORD: Final = re.compile(r"2FA(?![a-z])|[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+[a-z]+|[^\W\d_a-zA-Z]+")
_Loader: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# Words at the end that say no more than "of what": password_1, secret-value, tokenString, MY_KEY_PROD.
_VAGUE: Final = frozenset(
    "value val string str text prod production dev staging test live b b64 base64 encoded current old new r"
    "aw plain default "
    "env field input param parameter arg header hex pem data content primary secondary backup main".split()
)


@dataclass(slots=True, frozen=True)
class NamedLabel:
    """`label` for the values of a name, if they have the shape `value` (a key of values.VALUE_SHAPES)."""

    label: str
    value: str


_BASE: Final = str.maketrans(
    {"ø": "o", "ł": "l", "ß": "ss", "æ": "ae", "đ": "d", "ı": "i", "Ø": "O", "Ł": "L", "Đ": "D", "İ": "I"}
)


def _fold(name: str) -> str:
    """Latin letters without their accents: téléphone and telephone are one name. Other scripts stay."""
    if name.isascii():
        return name
    chars = unicodedata.normalize("NFC", name).translate(_BASE)
    bases = (unicodedata.normalize("NFKD", char)[0] for char in chars)
    return "".join(base if base.isascii() else char for base, char in zip(bases, chars, strict=True))


def _load() -> tuple[dict[str, NamedLabel], dict[str, NamedLabel], tuple[str, ...]]:
    exact: dict[str, NamedLabel] = {}
    suffixes: dict[str, NamedLabel] = {}
    spellings: set[str] = set()
    for entry in yaml.load((files("masking") / "names.yaml").read_text("utf-8"), Loader=_Loader):  # noqa: S506
        named = NamedLabel(entry["label"], entry["value"])
        for name in entry["names"]:
            exact[_fold(name.replace(" ", ""))] = named
        suffixes.update((name, named) for name in entry.get("suffix", ()))
        if named.label:
            # Expressions are ASCII: the names of other scripts have a detector of their own (directives.yaml).
            spellings.update(name for name in [*entry["names"], *entry.get("suffix", ())] if name.isascii())
    # A name that ends with another spelling is found by it.
    minimal = {word for word in spellings if spellings.isdisjoint(word[start:] for start in range(1, len(word)))}
    return exact, suffixes, tuple(_chunks(minimal))


def _chunks(spellings: set[str]) -> Iterator[str]:
    """Alternations of spellings, those with one last word together: an expression of them all were too large."""
    by_last: dict[str, list[str]] = {}
    for spelling in sorted(spellings):
        head, _, last = spelling.rpartition(" ")
        by_last.setdefault(last, []).append(head)
    chunk: list[str] = []
    for last, heads in sorted(by_last.items()):
        words = [head.replace(" ", _BETWEEN) for head in heads if head]
        chunk.append(rf"(?:{'|'.join(words)}){_BETWEEN}{last}" if words and "" not in heads else last)
        if sum(map(len, chunk)) > _CHUNK_CHARS:
            yield "|".join(chunk)
            chunk = []
    yield "|".join(chunk)


_EXACT, _SUFFIXES, NAMES = _load()  # NAMES: expressions for how every telling name ends, together
AFTER_NAME: Final = (
    rf"(?:[_.-]?(?:{'|'.join(sorted(_VAGUE))}))?[_.-]?[0-9]{{0,3}}"  # what may follow it and say no more
)


@lru_cache(maxsize=4096)
def label_of(name: str) -> NamedLabel | None:
    """What a value of this name is, or None. Names beyond 128 characters are judged by their end."""
    words = [word.lower() for word in _WORD.findall(_fold(name[-MAX_NAME_CHARS:]))]
    named = _label_of_words(words)
    while named is None and len(words) > 1 and words[-1] in _VAGUE:
        words.pop()
        named = _label_of_words(words)
    return named if named and named.label else None


def _label_of_words(words: list[str]) -> NamedLabel | None:
    for count in range(min(_MAX_WORDS, len(words)), 0, -1):
        named = _EXACT.get("".join(words[-count:]))
        if named is not None:
            return named
    last = words[-1] if words else ""
    return next((named for suffix, named in _SUFFIXES.items() if last.endswith(suffix)), None)


def all_labels() -> frozenset[str]:
    """Every label that a name can give."""
    return frozenset(named.label for named in (*_EXACT.values(), *_SUFFIXES.values()) if named.label)


def secret_span(named: NamedLabel, value: bytes) -> tuple[int, int] | None:
    """The part of `value` (byte offsets) that a name of this kind makes secret, or None."""
    return shape_of(named)(value)


def shape_of(named: NamedLabel) -> Shape:
    return VALUE_SHAPES[named.value]
