"""Rows: all counted and digested, some kept."""

import hashlib
import struct

import pytest

from ingest.codecs.base import Side
from ingest.codecs.postgres import Limits, PostgresCodec
from tests.ingest.codecs.postgres_messages import (
    BOUND,
    PARSED,
    SYNC,
    bind,
    columns,
    complete,
    copy_begins,
    copy_data,
    execute,
    message,
    parse,
    query,
    ready,
    row,
)
from tests.ingest.codecs.postgres_replay import play, split

AGENT, UPSTREAM = Side.AGENT, Side.UPSTREAM


@pytest.mark.parametrize("size", [1, 50, 10_000])
def test_rows_are_kept_to_a_limit_and_all_digested(size: int) -> None:
    rows = b"".join(row(str(n).encode()) for n in range(50))
    reads = split([(UPSTREAM, columns("n") + rows + complete("SELECT 50") + ready())], size)
    codec = PostgresCodec(limits=Limits(max_rows=3), digest_factory=hashlib.sha256)
    (action,) = play([(AGENT, query("select n")), *reads], codec).completed
    assert (action.rows, action.row_values, action.is_truncated) == (50, [["0"], ["1"], ["2"]], True)
    assert action.digest.hexdigest() == hashlib.sha256(rows).hexdigest()  # type: ignore[attr-defined]


def test_rows_are_kept_to_a_number_of_bytes() -> None:
    codec = PostgresCodec(limits=Limits(max_payload_bytes=250))
    answer = columns("t") + row(b"x" * 100) * 4 + complete("SELECT 4") + ready()
    (action,) = play([(AGENT, query("select t")), (UPSTREAM, answer)], codec).completed
    assert (action.rows, len(action.row_values), action.is_truncated) == (4, 2, True)


@pytest.mark.parametrize("size", [100, 999, 100_000])
def test_a_long_row_streams(size: int) -> None:
    data = columns("t") + row(b"x" * 5000) + row(b"y") + complete("SELECT 2") + ready()
    codec = PostgresCodec(limits=Limits(max_message_bytes=1000), digest_factory=hashlib.sha256)
    played = play([(AGENT, query("select t")), *split([(UPSTREAM, data)], size)], codec)
    (action,) = played.completed
    assert (action.rows, action.row_values, action.is_truncated) == (2, [], True)
    assert bytes(played.sent[AGENT]) == data
    assert action.response_bytes == len(data)
    wanted = hashlib.sha256(row(b"x" * 5000) + row(b"y")).hexdigest()
    assert action.digest.hexdigest() == wanted  # type: ignore[attr-defined]


@pytest.mark.parametrize("size", [100, 100_000])
def test_the_digest_of_a_copy_is_that_of_its_data(size: int) -> None:
    data = copy_begins("H") + copy_data(b"a" * 3000) + copy_data(b"b\n") + message("c") + complete("COPY 1") + ready()
    codec = PostgresCodec(limits=Limits(max_message_bytes=1000), digest_factory=hashlib.sha256)
    played = play([(AGENT, query("copy t to stdout")), *split([(UPSTREAM, data)], size)], codec)
    content = b"a" * 3000 + b"b\n"
    assert bytes(played.progress[UPSTREAM]) == content
    digest = played.completed[0].digest
    assert digest.hexdigest() == hashlib.sha256(content).hexdigest()  # type: ignore[attr-defined]


def test_binary_columns_by_the_description_of_the_portal() -> None:
    request = parse("select 1::int4") + bind(results=(1,)) + message("D", b"P\0") + execute() + SYNC
    answer = PARSED + BOUND + columns("n", oid=23, code=1) + row(struct.pack("!i", -5)) + complete("SELECT 1") + ready()
    (action,) = play([(AGENT, request), (UPSTREAM, answer)]).completed
    assert (action.columns, action.row_values) == (["n"], [["-5"]])


def test_binary_columns_by_the_description_of_the_statement() -> None:
    reads = [
        (AGENT, parse("select 1::int4", "s") + message("D", b"Ss\0") + SYNC),
        (UPSTREAM, PARSED + message("t", b"\0\0") + columns("n", oid=23) + ready()),
        (AGENT, bind("s", results=(1,)) + execute() + SYNC),
        (UPSTREAM, BOUND + row(struct.pack("!i", -5)) + complete("SELECT 1") + ready()),
    ]
    assert play(reads).completed[-1].row_values == [["-5"]]


def test_binary_columns_never_described_are_hex() -> None:
    request = parse("select 1::int4") + bind(results=(1,)) + execute() + SYNC
    answer = PARSED + BOUND + row(struct.pack("!i", 5)) + complete("SELECT 1") + ready()
    (action,) = play([(AGENT, request), (UPSTREAM, answer)]).completed
    assert action.row_values == [["\\x00000005"]]
    assert action.attributes["undecoded_columns"] == "all"


def test_a_column_of_an_unknown_type_is_named() -> None:
    request = parse("select point(1,2)") + bind(results=(1,)) + message("D", b"P\0") + execute() + SYNC
    answer = PARSED + BOUND + columns("p", oid=600, code=1) + row(b"\1\2") + complete("SELECT 1") + ready()
    (action,) = play([(AGENT, request), (UPSTREAM, answer)]).completed
    assert (action.row_values, action.attributes["undecoded_columns"]) == ([["\\x0102"]], "1")


def test_a_row_that_lies_about_its_lengths_is_opaque() -> None:
    bad = message("D", b"\0\2" + struct.pack("!i", 100) + b"x")
    played = play([(AGENT, query("select 1")), (UPSTREAM, columns("a", "b") + bad)])
    assert played.opaque[0].source is UPSTREAM
    assert played.completed[0].status == "08P01"
