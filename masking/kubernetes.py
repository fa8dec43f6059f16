"""Secret objects of Kubernetes: whatever stands under `data` and `stringData`, whatever its key."""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from masking import values
from masking.model import Found

MAX_OBJECT_BYTES: Final = 256 << 10
_YAML: Final = re.compile(
    rb"(?:\A|[\r\n])([ \t]*)(?:string)?[dD]ata:[ \t]*\r?\n((?:\1[ \t]+[^\r\n]*(?:\r?\n|\Z)|[ \t]*\r?\n)+)"
)
_PAIR: Final = re.compile(
    rb"[ \t]*[\"']?[\w.-]+[\"']?:[ \t]+([\"']?)([^\s\"'#|>][^\r\n\"']*?)\1[ \t]*(?:#.*)?(?:\r?\n|\Z)|[^\n]*(?:\n|\Z)"
)
_JSON: Final = re.compile(rb'\\*"(?:stringData|data)\\*"\s*:\s*\{([^{}]*)\}')
_JSON_PAIR: Final = re.compile(rb'\\*"[\w.-]+\\*"\s*:\s*\\*"([^"\\]+)')


def find_kubernetes(flat: bytes, _data: bytes, where: Sequence[int]) -> Iterator[Found]:
    """Every value of the Secret objects in a text; `where` is behind `kind: Secret`."""
    done = 0
    for position in sorted(where):
        if position < done:
            continue
        low = max(flat.rfind(b"\n---", 0, position), position - MAX_OBJECT_BYTES, 0)
        high = flat.find(b"\n---", position)
        done = high if high >= 0 else len(flat)
        yield from _values(flat, low, min(done, position + MAX_OBJECT_BYTES))


def _values(flat: bytes, low: int, high: int) -> Iterator[Found]:
    for block in _YAML.finditer(flat, low, high):
        position, end = block.span(2)
        while position < end and (pair := _PAIR.match(flat, position, end)) and pair.end() > position:
            if pair[2]:
                yield from _value(flat, *pair.span(2), block.start())
            position = pair.end()
    for block in _JSON.finditer(flat, low, high):
        for pair in _JSON_PAIR.finditer(flat, *block.span(1)):
            yield from _value(flat, *pair.span(1), block.start())


def _value(flat: bytes, start: int, end: int, begin: int) -> Iterator[Found]:
    if not values.is_placeholder(flat[start:end]):
        yield start, end, None, begin
