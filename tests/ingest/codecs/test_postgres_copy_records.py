"""Records of a COPY are counted and cut the same however its data comes in pieces."""

from struct import pack

import pytest

from ingest.codecs.postgres_copy_records import BinaryRecords, LineRecords, Records, records_of
from ingest.codecs.postgres_wire import MalformedError, WithheldError
from policy.postgres_copy import CopyForm

HEAD = b"PGCOPY\n\xff\r\n\0" + pack("!ii", 0, 0)


def row(*values: bytes | None) -> bytes:
    return pack("!h", len(values)) + b"".join(pack("!i", -1) if v is None else pack("!i", len(v)) + v for v in values)


ROWS = [row(b"1", b"abc"), row(None, b""), row(), row(b"x" * 40, None)]
TRAILER = b"\xff\xff"


def pass_through(records: Records, data: bytes, limit: int, size: int) -> tuple[bytes, int]:
    """What passes, and how many records there were."""
    shown, total = b"", 0
    for start in range(0, len(data), size):
        piece = data[start : start + size]
        count, cut = records.take(piece, max(0, limit - total))
        total += count
        shown += piece[:cut]
    return shown + records.finish(), total


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
@pytest.mark.parametrize("limit", [1, 2, 3, 4, 9])
def test_binary(size: int, limit: int) -> None:
    data = HEAD + b"".join(ROWS) + TRAILER
    assert pass_through(BinaryRecords(), data, limit, size) == (HEAD + b"".join(ROWS[:limit]) + TRAILER, 4)


LINES = [b"1\tone\n", b"2\t\\N\n", b'3\t"\n', b"\n"]
CSV = [b'1,"a\nb"\n', b'2,"say ""hi""\n"\n', b"3,\n", b"4,x\n"]
ESCAPED = [b"1,'a\\'\n'\n", b"2,'\\\\'\n", b"3,\n"]
FORMS = {
    "text": (CopyForm(), LINES, 0),
    "header": (CopyForm(has_header=True), [b"a\tb\n", *LINES], 1),
    "csv": (CopyForm("csv", delimiter=","), CSV, 0),
    "csv header": (CopyForm("csv", delimiter=",", has_header=True), [b'a,"b\n"\n', *CSV], 1),
    "escape": (CopyForm("csv", delimiter=",", quote="'", escape="\\"), ESCAPED, 0),
}


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("size", [1, 2, 5, 1000])
@pytest.mark.parametrize("limit", [1, 2, 3, 9])
def test_lines(name: str, size: int, limit: int) -> None:
    form, records, headers = FORMS[name]
    expected = b"".join(records[: limit + headers]), len(records) - headers
    assert pass_through(records_of(form, "utf-8"), b"".join(records), limit, size) == expected


def test_what_cannot_be_told_apart_is_withheld() -> None:
    with pytest.raises(WithheldError):
        records_of(CopyForm("csv", quote="|"), "shift_jis")
    assert isinstance(records_of(CopyForm("csv", quote='"'), "shift_jis"), LineRecords)


@pytest.mark.parametrize("data", [b"x" * 30, HEAD + pack("!h", -2), HEAD + pack("!hi", 1, -2), HEAD + TRAILER + b"x"])
def test_what_is_no_copy_data_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedError):
        BinaryRecords().take(data, 9)
