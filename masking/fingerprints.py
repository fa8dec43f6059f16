"""Values that no detector knows and that are still unlike any other: order ids, keys of an unknown issuer, UUIDs. Pure.

Data-flow detection follows them by keyed fingerprints. A run of letters and digits counts when it is long and mixed, so
that nobody writes the same one by chance; words, names, times and numbers do not. Case and separators are folded, and
encodings around a run are looked through, so that a value is the same however it was written.
"""

import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import unquote_to_bytes

from masking.layers import find_wrapped
from masking.spans import TOKEN

MAX_SCANNED_BYTES: Final = 16_384
MAX_RUNS: Final = 256
MAX_VALUE_CHARS: Final = 64
MIN_VALUE_CHARS: Final = 14
_MIN_EACH: Final = 3
_RUN: Final = re.compile(rb"[0-9A-Za-z_+/=-]{14,}+")
_PIECE: Final = re.compile(rb"[0-9A-Za-z]++(?:[-_][0-9A-Za-z]++)*+")
_SEPARATORS: Final = b"-_"
_CLASSES: Final = bytes.maketrans(
    b"0123456789" + bytes(range(65, 91)) + bytes(range(97, 123)), b"0" * 10 + b"A" * 26 + b"a" * 26
)
_CHANGES: Final = re.compile(rb"0++|A++|a++")
_WORD: Final = re.compile(rb"a{7}|A{7}")
_ESCAPES: Final = re.compile(rb"\\u00([0-7][0-9A-Fa-f])")
_LEAST_WRAPPED: Final = 20


def distinctive_values(data: bytes, limit: int) -> list[bytes]:
    """At most `limit` distinct folded values in the first 16 KiB of a text, in order of appearance."""
    found: dict[bytes, None] = {}
    for value in _values(data[:MAX_SCANNED_BYTES]):
        found[value] = None
        if len(found) >= limit:
            break
    return list(found)


def _values(data: bytes) -> Iterator[bytes]:
    if b"\xe2\x80\xb9" in data:  # what is masked has a token of its own
        data = TOKEN.sub(b" ", data)
    if b"%" in data:
        data = unquote_to_bytes(data)
    if rb"\u00" in data:
        data = _ESCAPES.sub(lambda match: bytes((int(match[1], 16),)), data)
    for run in _RUN.findall(data)[:MAX_RUNS]:
        yield from _values_of_run(run)


def _values_of_run(run: bytes) -> Iterator[bytes]:
    """The run's pieces; and what it holds when it is base64 or hex of a text."""
    changes = len(_CHANGES.findall(run.translate(_CLASSES)))
    if changes < 2:  # a word, a number, a line
        return
    is_wrapped = False
    if len(run) >= _LEAST_WRAPPED and changes >= len(run) // 16:
        for wrapped in find_wrapped(run):
            is_wrapped = True
            for inner in _RUN.findall(TOKEN.sub(b" ", wrapped.data[:MAX_SCANNED_BYTES]))[:MAX_RUNS]:
                yield from _pieces(inner)
    if not is_wrapped:
        yield from _pieces(run)


def _pieces(run: bytes) -> Iterator[bytes]:
    for piece in _PIECE.findall(run):
        if MIN_VALUE_CHARS <= len(piece) and is_distinctive(piece):
            yield piece.translate(None, _SEPARATORS).lower()


def is_distinctive(piece: bytes) -> bool:
    """Whether letters and digits alternate as they do in ids and keys, and seldom in names, times and numbers."""
    bare = piece.translate(None, _SEPARATORS)
    if not MIN_VALUE_CHARS <= len(bare) <= MAX_VALUE_CHARS:
        return False
    classes = bare.translate(_CLASSES)
    changes, digits = len(_CHANGES.findall(classes)), classes.count(b"0")
    if b"A" in classes and b"a" in classes:  # capitals within: three kinds alternate more often, words have runs
        return digits > 0 and changes >= len(bare) * 5 // 12 and not _WORD.search(classes)
    return digits >= _MIN_EACH and len(bare) - digits >= _MIN_EACH and changes >= max(4, len(bare) // 4)
