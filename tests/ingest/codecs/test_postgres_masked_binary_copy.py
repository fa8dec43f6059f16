"""COPY in binary form to the client, whatever the messages cut. test_masked_sessions.py has a real server."""

import struct
import uuid
from struct import pack

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.codecs import postgres_masked_binary_copy
from ingest.codecs.postgres_masked_binary_copy import MAX_RECORD_BYTES, SIGNATURE, BinaryCopyMask, type_of
from ingest.codecs.postgres_masked_copy import check_copies
from masking.inline.model import Unreadable
from tests.ingest.codecs.masked import CARD, EMAIL, order

HEADER = SIGNATURE + pack("!II", 0, 3) + b"ext"
TRAILER = b"\xff\xff"
NUMERIC_CARD = pack("!hhHH4h", 4, 3, 0, 0, 4111, 1111, 1111, 1111)
VALUES = st.one_of(st.none(), st.binary(max_size=24), st.sampled_from([EMAIL, b"\x01{}", pack("!q", int(CARD))]))


def record(*values: bytes | None) -> bytes:
    return pack("!h", len(values)) + b"".join(
        pack("!i", -1) if value is None else pack("!i", len(value)) + value for value in values
    )


def read(data: bytes) -> list[list[bytes | None]]:
    """The records of masked data, read by itself."""
    assert data.startswith(HEADER) and data.endswith(TRAILER)
    pos, rows = len(HEADER), []
    while pos < len(data) - 2:
        (count,) = struct.unpack_from("!h", data, pos)
        pos += 2
        rows.append([])
        for _ in range(count):
            (size,) = struct.unpack_from("!i", data, pos)
            pos += 4
            rows[-1].append(None if size < 0 else data[pos : pos + size])
            pos += max(size, 0)
    return rows


def run(data: bytes, size: int = 1 << 30, statement: str = "COPY t (a, b, c) TO STDOUT BINARY", **fields):  # type: ignore[no-untyped-def]
    values = order(**fields)
    report = values.new_report()
    (form,) = check_copies(values, statement)
    copy = BinaryCopyMask(values, report, form, "utf-8")
    records = [r for start in range(0, len(data), size) for r in copy.feed(data[start : start + size])]
    return b"".join([*records, *copy.finish()]), report


@pytest.mark.parametrize("size", [1, 5, 64, 1 << 20])
def test_text_gets_tokens_and_numbers_go(size: int) -> None:
    rows = [
        record(pack("!i", 7), b"to " + EMAIL, pack("!q", int(CARD))),
        record(None, b'\x01{"mail": "' + EMAIL + b'"}', NUMERIC_CARD),
        record(b"\1", b"plain", pack("!d", 2.5)),
    ]
    shown, report = run(HEADER + b"".join(rows) + TRAILER, size)
    first, second, third = read(shown)
    assert first[0] == pack("!i", 7) and first[2] is None
    assert first[1] is not None and first[1].startswith("to ‹email:".encode())
    assert second[0] is None and second[2] is None
    assert second[1] is not None and second[1].startswith('\x01{"mail": "‹email:'.encode())
    assert third == [b"\1", b"plain", pack("!d", 2.5)]
    assert {(m.label, m.place) for m in report.take()} == {("email", "b"), ("payment_card", "c"), ("email", "b.mail")}


def test_named_columns_go_whole_whatever_stands_in_them() -> None:
    rows = record(pack("!h", 5), b"text", b"\1") + record(b"secret text", b"x", None)
    shown, report = run(HEADER + rows + TRAILER, columns=("a", "c"))
    assert read(shown) == [[None, b"text", None], [read(shown)[1][0], b"x", None]]
    assert read(shown)[1][0] is not None and b"secret" not in (read(shown)[1][0] or b"")
    assert report.total == 3
    with pytest.raises(Unreadable, match="does not say its columns"):
        check_copies(order(columns=("a",)), "COPY t TO STDOUT BINARY")


@pytest.mark.parametrize(("is_strict", "kept"), [(True, None), (False, b"\x80\x81\x82\x83\x84")])
def test_what_can_be_nothing_known_goes_unless_policy_relays_it(is_strict: bool, kept: bytes | None) -> None:
    shown, report = run(HEADER + record(b"\x80\x81\x82\x83\x84") + TRAILER, is_strict=is_strict)
    assert read(shown) == [[kept]]
    assert bool(report.unread) is not is_strict


def test_values_are_taken_for_what_their_bytes_can_be() -> None:
    cases = {
        pack("!q", int(CARD)): 20, pack("!d", 1.0): 701, pack("!i", 5): 23, pack("!q", 800_000_000_000_000): 20,
        b"hunter22": 0, b"a longer text": 25, b'\x01{"a": 1}': 3802, uuid.uuid4().bytes: 2950,
        b"\x02\x20\x00\x04\x0a\x01\x02\x03": 869, NUMERIC_CARD: 1700,
        pack("!iiiiii", 1, 0, 25, 1, 1, 1) + b"\x80": 1009, b"\x80\x81\x82\x83\x84": 0,
    }  # fmt: skip
    assert {raw: type_of(raw) for raw in cases} == cases
    assert type_of(b"1234") == 23 and type_of(b"1234", is_telling=True) == 0


@settings(deadline=None, max_examples=60)
@given(st.lists(st.lists(VALUES, max_size=4), max_size=6), st.integers(1, 40))
def test_any_data_keeps_its_form_however_it_is_cut(rows: list[list[bytes | None]], size: int) -> None:
    data = HEADER + b"".join(record(*row) for row in rows) + TRAILER
    shown, _ = run(data, size)
    assert [len(row) for row in read(shown)] == [len(row) for row in rows]
    assert EMAIL not in shown and pack("!q", int(CARD)) not in shown
    assert shown == run(data)[0]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"PGCOPX\n", "not in the form"),
        (SIGNATURE + pack("!II", 1 << 16, 0), "not known"),
        (HEADER + pack("!hi", 1, MAX_RECORD_BYTES + 1), "too long"),
        (HEADER + TRAILER + record(b"x"), "after its end"),
        (HEADER + record(b"xyz")[:-1], "breaks off"),
    ],
)
def test_what_is_not_of_the_form_is_an_error(data: bytes, reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        run(data)


def test_a_record_without_end_is_an_error_in_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_masked_binary_copy, "MAX_RECORD_BYTES", 1 << 16)
    with pytest.raises(Unreadable, match="too long"):
        run(HEADER + pack("!h", 9) + (pack("!i", 60_000) + b"\0" * 60_000) * 2, 1 << 14)
