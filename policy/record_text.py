"""What `@record` on a policy says: how much of an answer is recorded: `full`, `statement`, or `rows=20; bytes=4096`."""

from collections.abc import Iterable
from typing import Final

from policy.annotations import read_settings
from policy.model import AS_RESOURCE, RecordObligation

KEYS: Final = ("rows", "bytes")
FULL: Final = "full"
STATEMENT: Final = "statement"
MAX_ROWS: Final = 10_000
MAX_BYTES: Final = 262_144
"""The most content that one event holds."""
ALL: Final = RecordObligation(MAX_ROWS, MAX_BYTES)
NOTHING: Final = RecordObligation(0, 0)
WORDS: Final = {FULL: ALL, STATEMENT: NOTHING}
_MOST: Final = {"rows": MAX_ROWS, "bytes": MAX_BYTES}


def parse_record(text: str) -> RecordObligation:
    """The obligation that an annotation's text means. Raises ValueError, which says what is wrong.

    A word of `WORDS`, or `KEYS` with numbers, each at most once; what is not named is as the resource says.
    """
    word = WORDS.get(text.strip())
    if word is not None:
        return word
    given = read_settings("record", text.split(";"), KEYS, f"{FULL}, {STATEMENT}, rows= and bytes=")
    if not given:
        raise ValueError(f"@record takes {FULL}, {STATEMENT}, rows= and bytes=, and says none")
    return RecordObligation(_number(given, "rows"), _number(given, "bytes"))


def _number(given: dict[str, str], key: str) -> int:
    if key not in given:
        return AS_RESOURCE
    text = given[key]
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text) <= _MOST[key]):
        raise ValueError(f"@record: {key} is a number up to {_MOST[key]}, not {text!r}")
    return int(text)


def join_records(records: Iterable[RecordObligation]) -> RecordObligation | None:
    """What these demand together, the most where they differ; None for none of them."""
    found = list(records)
    if not found:
        return None
    found = [each for each in found if each != NOTHING] or [NOTHING]
    return RecordObligation(max(each.rows for each in found), max(each.bytes for each in found))


def write_record(record: RecordObligation) -> str:
    """As `parse_record` reads it."""
    for word, meant in WORDS.items():
        if record == meant:
            return word
    return "; ".join(f"{key}={getattr(record, key)}" for key in KEYS if getattr(record, key) != AS_RESOURCE)
