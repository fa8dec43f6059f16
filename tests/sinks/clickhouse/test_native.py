"""Columns of the Native format are what the store reads them as."""

from collections.abc import Callable, Sequence

import pytest

from sinks.clickhouse.client import StoreClient
from sinks.clickhouse.event_pieces import as_words
from sinks.clickhouse.native import (
    Column,
    encode_block,
    encode_dictionary,
    encode_ends,
    encode_numbers,
    encode_strings,
    index_code,
    leb128,
    make_block,
)


@pytest.mark.parametrize("value", [0, 1, 127, 128, 16_383, 16_384, 1 << 40])
def test_lengths(value: int) -> None:
    data = leb128(value)
    assert sum((byte & 127) << 7 * place for place, byte in enumerate(data)) == value
    assert all(byte > 127 for byte in data[:-1]) and data[-1] < 128


def test_strings_of_every_size() -> None:
    assert encode_strings([b"", b"ab", b"x" * 20_000]) == b"\x00\x02ab" + leb128(20_000) + b"x" * 20_000
    assert encode_strings(iter([b"a"])) == b"\x01a"
    assert encode_ends([0, 2, 1]) == encode_numbers("Q", [0, 2, 3])


def test_a_block_tells_names_and_types() -> None:
    column = Column("n", "UInt8", b"\x07")
    assert encode_block([column], 1) == b"\x01\x01\x01n\x05UInt8\x07"
    assert make_block([column], 1).names == ("n",)


def encode_words(values: Sequence[bytes]) -> bytes:
    words = as_words(values)
    return encode_dictionary(words.keys, len(values), encode_numbers(index_code(len(words.keys)), words.index))


@pytest.mark.parametrize("keys", [1, 255, 256, 257, 70_000])
def test_dictionaries_of_every_width(keys: int) -> None:
    words = [b"w%d" % number for number in range(keys)]
    data = encode_words([*words, words[-1]])
    width = encode_numbers(index_code(keys), [0])
    assert data.endswith(encode_numbers(index_code(keys), [keys - 1]) * 2) and len(width) in (1, 2, 4)
    assert encode_words([]) == encode_dictionary([], 0, b"")


def test_the_store_reads_them(connect: Callable[[], StoreClient], log_id: str) -> None:
    """Also a dictionary in which a key stands twice, as when two sessions have one agent."""
    client = connect()
    many = [b"reason %d" % number for number in range(300)]
    rows = len(many)
    index = encode_numbers("B", [number % 3 for number in range(rows)])
    columns = [
        Column("log_id", "LowCardinality(String)", encode_words([log_id.encode()] * rows)),
        Column("agent", "LowCardinality(String)", encode_dictionary([b"a", b"b", b"a"], rows, index)),
        Column("reason", "LowCardinality(String)", encode_words(many)),
        Column("offset", "UInt64", encode_numbers("Q", range(rows))),
        Column(
            "ledger",
            "Map(String, UInt64)",
            encode_ends([1] * rows) + encode_strings([b"k"] * rows) + encode_numbers("Q", range(rows)),
        ),
    ]
    client.insert("sessions", make_block(columns, rows), "token-" + log_id)
    client.insert("sessions", make_block(columns, rows), "token-" + log_id)
    sql = "SELECT agent, reason, ledger FROM custody.sessions WHERE log_id = {log:String} ORDER BY offset"
    assert client.query(sql, log=log_id) == [("aba"[n % 3], f"reason {n}", {"k": n}) for n in range(rows)]
