"""Binary values, against the text that a PostgreSQL server itself wrote for them (capture binary_types)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.codecs.postgres import Limits, PostgresCodec
from ingest.codecs.postgres_types import decoder, render, render_hex
from tests.ingest.codecs.postgres_replay import load, play

PLAYED = play(load("binary_types"), PostgresCodec(limits=Limits(max_rows=10)))
PAIRS = [a for a in PLAYED.completed if a.statement.startswith("select ") and a.row_values]
BINARY, TEXT = PAIRS[0::2], PAIRS[1::2]


@pytest.mark.parametrize("index", range(len(BINARY)), ids=[a.statement[7:-5] for a in BINARY])
def test_a_binary_value_reads_as_the_server_writes_it(index: int) -> None:
    binary, text = BINARY[index], TEXT[index]
    assert binary.statement == text.statement
    assert "undecoded_columns" not in binary.attributes
    assert binary.row_values == text.row_values


def test_the_capture_holds_every_type() -> None:
    assert len(BINARY) == len(TEXT) > 90


def test_an_unknown_type_or_a_bad_value_is_hex() -> None:
    assert decoder(600) is None
    assert render(b"\1\2", decoder(600)) == "\\x0102"
    assert render(b"\1\2", decoder(23)) == "\\x0102"


@given(st.sampled_from([oid for oid in range(6000) if decoder(oid)]), st.binary(max_size=64))
def test_no_bytes_raise(oid: int, raw: bytes) -> None:
    assert isinstance(render(raw, decoder(oid)), str)


@given(st.integers(0, 6), st.integers(-3, 1 << 31), st.binary(max_size=40))
def test_an_array_that_claims_more_than_it_holds_is_hex(dimensions: int, size: int, rest: bytes) -> None:
    raw = dimensions.to_bytes(4) + bytes(4) + (23).to_bytes(4) + (size & 0xFFFFFFFF).to_bytes(4) + bytes(4) + rest
    text = render(raw, decoder(1007))
    assert text == render_hex(raw) or len(text) < 20 * len(raw) + 20
