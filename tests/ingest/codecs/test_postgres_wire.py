"""The messages that the proxy writes itself, and readers of hostile bytes."""

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.codecs.postgres_wire import (
    ENCODINGS,
    FAILING_PARSE,
    FAILING_QUERY,
    CancelKey,
    MalformedError,
    backend_key_data,
    cancel_request,
    error_response,
    notice_response,
    read_cstring,
    read_fields,
    ready_for_query,
)
from tests.ingest.codecs import postgres_messages as m


def test_the_messages_sent_in_the_place_of_a_refused_one_are_well_formed() -> None:
    assert m.query("custody refused") == FAILING_QUERY
    assert m.parse("custody refused", "custody_refused") == FAILING_PARSE


def test_an_error_response_reads_back() -> None:
    data = error_response("FATAL", "08007", "outcome\0unknown", hint="look it up")
    assert read_fields(data, 5, len(data)) == {
        "severity": "FATAL",
        "severity_code": "FATAL",
        "sqlstate": "08007",
        "message": "outcome?unknown",
        "hint": "look it up",
    }
    assert int.from_bytes(data[1:5]) == len(data) - 1


def test_a_notice_reads_back() -> None:
    data = notice_response("00000", "waits")
    assert data[:1] == b"N" and int.from_bytes(data[1:5]) == len(data) - 1
    assert read_fields(data, 5, len(data))["severity_code"] == "NOTICE"


def test_cancel_keys_of_both_protocols() -> None:
    assert cancel_request(CancelKey(7, b"abcd")) == b"\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\x07abcd"
    assert len(cancel_request(CancelKey(7, b"k" * 32))) == 44
    assert backend_key_data(CancelKey(7, b"abcd")) == b"K\0\0\0\x0c\0\0\0\x07abcd"
    assert ready_for_query(ord("T")) == m.ready("T")


def test_a_string_without_its_end() -> None:
    assert read_cstring(b"ab\0c", 0, 4) == (b"ab", 3)
    with pytest.raises(MalformedError):
        read_cstring(b"ab\0", 0, 2)


@given(st.binary(max_size=60))
def test_fields_of_any_bytes(data: bytes) -> None:
    assert isinstance(read_fields(data, 0, len(data)), dict)


def test_every_encoding_is_known_here() -> None:
    for name in ENCODINGS.values():
        codecs.lookup(name)
