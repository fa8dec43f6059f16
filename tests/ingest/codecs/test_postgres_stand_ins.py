"""The zeros are what a real server takes and gives for them."""

from struct import pack

import pytest

from ingest.codecs.postgres_stand_ins import _ZEROS, NUMBERS, stand_in
from ingest.codecs.postgres_types import decoder, render
from tests.support.postgres import Postgres


@pytest.mark.parametrize("oid", sorted(_ZEROS))
def test_a_zero_reads_as_its_type_in_both_forms(postgres_server: Postgres, oid: int) -> None:
    text = stand_in(oid, b"", is_binary=False, is_array=False)
    binary = stand_in(oid, b"", is_binary=True, is_array=False)
    assert text is not None and binary is not None
    with postgres_server.connect() as connection, connection.cursor() as cursor:
        (name,) = cursor.execute("SELECT format_type(%s, NULL)", (oid,)).fetchone() or ("",)
        cursor.execute("SET standard_conforming_strings = on")
        cursor.execute(f"SELECT '{text.decode()}'::{name}")  # type: ignore[arg-type]
        assert cursor.pgresult is not None
        assert cursor.pgresult.get_value(0, 0) == text
    assert render(binary, decoder(oid)) == text.decode()


def test_arrays_become_empty_and_other_types_null() -> None:
    raw = pack("!iiIii", 1, 0, 23, 1, 1) + pack("!ii", 4, 7)
    binary = stand_in(1007, raw, is_binary=True, is_array=True)
    assert binary is not None and render(binary, decoder(1007)) == "{}"
    assert stand_in(1007, b"{7}", is_binary=False, is_array=True) == b"{}"
    assert stand_in(1007, b"x", is_binary=True, is_array=True) is None
    assert stand_in(600, b"(1,2)", is_binary=False, is_array=False) is None
    assert set(_ZEROS) >= NUMBERS
