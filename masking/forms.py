"""The forms of a value of which masking may have made tokens: what a trace has to look for. Pure.

Masking folds case and separators where a value's label allows it, but whoever asks for a value gives no label. So each
way of folding that leaves the value whole is tried: digits with separators are folded to digits, and so on.
"""

import re
from typing import Final

from masking.catalog import NORMALIZERS
from masking.spans import normalize

MAX_VALUE_BYTES: Final = 16_384
_GROUPED: Final = re.compile(rb"[0-9A-Za-z \-./:()+_]+")
_SEPARATORS: Final = re.compile(rb"[^0-9A-Za-z]+")
_QUOTES: Final = (b'""', b"''", b"``")


def forms_of(value: bytes) -> list[bytes]:
    """Distinct forms, the value as it is first. Raises ValueError for an empty or too long value."""
    if not value.strip() or len(value) > MAX_VALUE_BYTES:
        raise ValueError(f"a value has 1 to {MAX_VALUE_BYTES} bytes")
    plain = [value, *_trimmed(value)]
    forms = dict.fromkeys(plain)
    for text in plain:
        for how in NORMALIZERS:
            folded = normalize(text, how)
            if folded and _is_whole(text, folded):
                forms[folded] = None
    return list(forms)


def _trimmed(value: bytes) -> list[bytes]:
    """Without the blanks, quotes and carriage returns that come along when a value is copied."""
    bare = value.strip()
    found = [bare, bare.replace(b"\r\n", b"\n")]
    if len(bare) > 2 and bare[:1] + bare[-1:] in _QUOTES:
        found.append(bare[1:-1])
    return found


def _is_whole(text: bytes, folded: bytes) -> bool:
    """Whether folding took away separators and case only: `hunter2` must not become `2`."""
    if _SEPARATORS.sub(b"", text).lower() != _SEPARATORS.sub(b"", folded).lower():
        return False
    return folded == text.strip().lower() or _GROUPED.fullmatch(text) is not None
