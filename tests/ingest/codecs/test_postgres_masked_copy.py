"""COPY to the client: fields of text and CSV, whatever the messages cut."""

import csv
import io

import pytest

from ingest.codecs.postgres_masked_copy import MAX_RECORD_BYTES, CopyMask, check_copies
from masking.inline.model import Unreadable
from tests.ingest.codecs.masked import CARD, EMAIL, order


def run(statement: str, data: bytes, size: int = 1 << 30, encoding: str = "utf-8", **fields):
    values = order(**fields)
    report = values.new_report()
    (form,) = check_copies(values, statement)
    copy = CopyMask(values, report, form, encoding)
    records = [r for start in range(0, len(data), size) for r in copy.feed(data[start : start + size])]
    return records + copy.finish(), report


@pytest.mark.parametrize("size", [1, 5, 1 << 20])
def test_text_fields(size):
    data = b"1\tto " + EMAIL + b"\\tnow\t\\N\n2\tback\\\\slash\t" + CARD + b"\n\\N\tx\t7\n"
    records, report = run("COPY t (a, b, c) TO STDOUT", data, size)
    assert len(records) == 3 and records[2] == b"\\N\tx\t7\n"
    first = records[0].rstrip(b"\n").split(b"\t")
    assert first[0] == b"1" and first[1].startswith("to ‹email:".encode()) and first[1].endswith(b"\\tnow")
    assert records[1] == b"2\tback\\\\slash\t\\N\n"
    assert {(m.label, m.place) for m in report.take()} == {("email", "b"), ("payment_card", "c")}


@pytest.mark.parametrize("size", [1, 7, 1 << 20])
@pytest.mark.parametrize(
    ("options", "quote"), [("CSV HEADER", '"'), ("CSV HEADER QUOTE '$'", "$"), (r"CSV HEADER ESCAPE '\'", '"')]
)
def test_csv_fields(size, options, quote):
    escape = "\\" if "ESCAPE" in options else quote
    data = f"""id,note,card
1,{quote}two
lines {escape}{quote}q{escape}{quote}, {EMAIL.decode()}{quote},{CARD.decode()}
2,,
3,plain,{quote}{quote}
""".encode()
    records, report = run(f"COPY (SELECT 1) TO STDOUT {options}", data, size)
    text = b"".join(records).decode()
    dialect = {"quotechar": quote, "doublequote": escape == quote, "escapechar": None if escape == quote else escape}
    rows = list(csv.reader(io.StringIO(text), **dialect))
    assert [len(row) for row in rows] == [3, 3, 3, 3] and len(records) == 4
    assert rows[0] == ["id", "note", "card"] and rows[2] == ["2", "", ""] and rows[3][:2] == ["3", "plain"]
    assert rows[1][1].startswith(f"two\nlines {quote}q{quote}, ‹email:") and rows[1][2] == ""
    assert {(m.label, m.place) for m in report.take()} == {("email", "note"), ("payment_card", "card")}


def test_columns_by_the_statement_or_the_header_and_numbers_stay_numbers():
    records, _ = run("COPY t (a, pay) TO STDOUT", b"1\t500.25\n2\tsome\n", columns=("pay",), has_stand_ins=True)
    assert records[0] == b"1\t0\n" and records[1].startswith("2\t‹column:".encode())
    records, _ = run("COPY t TO STDOUT (HEADER)", b"a\tpay\n1\t5\n", columns=("pay",))
    assert records == [b"a\tpay\n", b"1\t\\N\n"]


@pytest.mark.parametrize(
    ("statement", "fields", "reason"),
    [
        ("COPY t TO STDOUT", {"columns": ("pay",)}, "without a header"),
        ("COPY t TO STDOUT BINARY", {"columns": ("pay",)}, "without a header"),
        ("COPY t TO STDOUT DELIMITER ':'", {}, "delimiter"),
        ("COPY t TO (", {}, "not understood"),
    ],
)
def test_what_cannot_be_masked_is_known_before(statement, fields, reason):
    with pytest.raises(Unreadable, match=reason):
        check_copies(order(**fields), statement)


def test_what_policy_would_rather_have_relayed_is_told():
    records, report = run("COPY t TO STDOUT", EMAIL + b"\t5\n", columns=("pay",), is_strict=False)
    assert EMAIL not in records[0] and "columns" in report.unread


def test_a_record_without_end_is_an_error_in_bounded_memory():
    values = order()
    copy = CopyMask(values, values.new_report(), check_copies(values, "COPY t TO STDOUT")[0], "utf-8")
    with pytest.raises(Unreadable, match="too long"):
        for _ in range(MAX_RECORD_BYTES // (1 << 20) + 2):
            copy.feed(b"x" * (1 << 20))


@pytest.mark.parametrize("encoding", ["latin-1", "shift_jis"])
def test_other_encodings(encoding):
    text = (
        "é" if encoding == "latin-1" else "ソ表"
    ) + f"\t{EMAIL.decode()}\n"  # the second has a backslash in a character
    (record,), _ = run("COPY t TO STDOUT", text.encode(encoding), encoding=encoding)
    first, second = record.decode(encoding).split("\t")
    assert first == text.partition("\t")[0] and "email:" in second and "bob" not in second
