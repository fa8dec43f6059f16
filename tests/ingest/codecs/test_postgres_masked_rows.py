"""DataRow messages, several at once."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.codecs.postgres_masked_rows import count_values, make_columns, mask_rows
from ingest.codecs.postgres_masked_values import CellMasker
from ingest.codecs.postgres_wire import MalformedError
from tests.ingest.codecs.masked import CARD, EMAIL, data_row, order

VALUES = st.one_of(st.none(), st.binary(max_size=20), st.just(EMAIL), st.just(b"to " + EMAIL))


def run(buffer: bytes, oids=(25, 20, 25), formats=(0,), **fields):
    values = order(**fields)
    report = values.new_report()
    columns = make_columns(values.name_of, ("a", "b", "c"), oids, formats, count_values(buffer, 0))
    return mask_rows(CellMasker(values, report, "utf-8"), columns, buffer, 0, len(buffer)), report


def test_rows_keep_their_order_and_their_nulls():
    rows = data_row(b"x", b"1", None) + data_row(EMAIL, CARD, b"") + data_row(None, None, None)
    shown, report = run(rows)
    assert shown.startswith(data_row(b"x", b"1", None)) and shown.endswith(data_row(None, None, None))
    assert EMAIL not in shown and CARD not in shown
    assert [(m.label, m.place) for m in report.take()] == [("email", "a"), ("payment_card", "b")]


def test_nothing_to_mask_is_none():
    assert run(data_row(b"x", b"1", b"y"))[0] is None
    assert run(data_row())[0] is None


def test_columns_that_were_not_described_have_no_name_and_no_type():
    values = order(columns=("a",))
    known, unknown = make_columns(values.name_of, ("a",), (23,), (1,), 2)
    assert (known.is_whole, known.is_binary, known.oid) == (True, True, 23)
    assert (unknown.is_whole, unknown.is_binary, unknown.oid) == (False, True, 0)
    assert [c.is_binary for c in make_columns(values.name_of, (), (), (0, 1), 3)] == [False, True, False]


@settings(deadline=None, max_examples=100)
@given(st.lists(st.lists(VALUES, min_size=3, max_size=3), min_size=1, max_size=5))
def test_any_rows_stay_rows(rows):
    buffer = b"".join(data_row(*row) for row in rows)
    shown, _ = run(buffer, oids=(25, 25, 25))
    assert EMAIL not in (shown or buffer)
    if shown is not None:
        assert run(shown, oids=(25, 25, 25))[0] is None  # whole, and masked once and for all


@pytest.mark.parametrize("cut", [4, 6, 8, 10])
def test_a_row_that_lies_about_its_length_is_an_error(cut):
    row = bytearray(data_row(EMAIL, b"1", b"z"))
    row[cut] ^= 0x7F
    with pytest.raises((MalformedError, IndexError)):
        run(bytes(row))
