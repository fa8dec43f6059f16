"""What a name says about the value beside it: `customer_card_number`, `X-Api-Key`, `--db-password`."""

import re
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Final

import yaml

MAX_NAME_CHARS: Final = 128
_MAX_WORDS: Final = 4
_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_a-zA-Z]+")
_AUTH_SCHEME: Final = re.compile(
    rb"(?i)\s*(?:bearer|basic|token|digest|negotiate|ntlm|apikey|api-key|aws4-hmac-sha256|dpop|hawk)\s+(?=\S)"
)
# What stands where a secret would, and is none: bind parameters, templates, type names, empty values.
_PLACEHOLDER: Final = re.compile(
    rb"(?i)(?:|null|nil|none|undefined|true|false|yes|no|on|off|default|\$\d+|\?\d*|%s|%\(\w+\)s|:\w+|@\w+|\$\w+"
    rb"|\$\{[^}]*\}|\{\{[^}]*\}\}|\{\w*\}|<[^>]*>|\*+|x{3,}|\.{2,}|-+|str(?:ing)?|int(?:eger)?|text|varchar|bool(?:ean)?"
    rb"|bytea?s?|required|optional|object|number|redacted|\[redacted\]|masked|function|self|this|empty)"
)
_DIGITS: Final = re.compile(rb"[\d \-./]{3,40}")
_IBAN: Final = re.compile(rb"[A-Za-z]{2}\d{2}[A-Za-z0-9 \-]{8,40}")


@dataclass(slots=True, frozen=True)
class NamedLabel:
    label: str
    value: str


def _load() -> tuple[dict[str, NamedLabel], dict[str, NamedLabel], str]:
    exact: dict[str, NamedLabel] = {}
    suffixes: dict[str, NamedLabel] = {}
    spellings: set[str] = set()
    for entry in yaml.safe_load((files("masking") / "names.yaml").read_text("utf-8")):
        named = NamedLabel(entry["label"], entry["value"])
        exact.update((name.replace(" ", ""), named) for name in entry["names"])
        suffixes.update((name, named) for name in entry.get("suffix", ()))
        if named.label:
            spellings.update(name.replace(" ", "[ _.-]?") for name in [*entry["names"], *entry.get("suffix", ())])
    return exact, suffixes, "|".join(sorted(spellings))


_EXACT, _SUFFIXES, NAMES = _load()  # NAMES: an expression for every telling name, however its words are joined


@lru_cache(maxsize=4096)
def label_of(name: str) -> NamedLabel | None:
    """What a value of this name is, or None. Names beyond 128 characters are judged by their end."""
    words = [word.lower() for word in _WORD.findall(name[-MAX_NAME_CHARS:])]
    for count in range(min(_MAX_WORDS, len(words)), 0, -1):
        named = _EXACT.get("".join(words[-count:]))
        if named is not None:
            return named if named.label else None
    last = words[-1] if words else ""
    return next((named for suffix, named in _SUFFIXES.items() if last.endswith(suffix)), None)


def all_labels() -> frozenset[str]:
    """Every label that a name can give."""
    return frozenset(named.label for named in (*_EXACT.values(), *_SUFFIXES.values()) if named.label)


def secret_span(named: NamedLabel, value: bytes) -> tuple[int, int] | None:
    """The part of `value` (byte offsets) that a name of this kind makes secret, or None."""
    if _PLACEHOLDER.fullmatch(value.strip()):
        return None
    match named.value:
        case "digits":
            return (0, len(value)) if _DIGITS.fullmatch(value.strip()) else None
        case "email":
            return (0, len(value)) if b"@" in value else None
        case "iban":
            return (0, len(value)) if _IBAN.fullmatch(value.strip()) else None
        case "opaque":
            scheme = _AUTH_SCHEME.match(value)
            start = scheme.end() if scheme else 0
            return (start, len(value)) if _is_opaque(value[start:].strip()) else None
    return (0, len(value))


def _is_opaque(value: bytes) -> bool:
    """No count (`token: 12`) and no word or two of prose."""
    return len(value) >= 4 and not (len(value) < 6 and value.isdigit())
