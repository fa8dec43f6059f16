import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from masking.inline.event_stream import MAX_EVENT_BYTES, EventRewriter
from masking.inline.model import Unreadable
from tests.masking.inline.helpers import CARD, EMAIL, order, run

STREAM = (
    b'\xef\xbb\xbf: hello\nevent: made\nid: 1\ndata: {"email": "%b",\ndata:  "n": 1}\n\n'
    b"retry: 100\r\n\r\ndata\r\rdata:card %b\rdata: second\r\n\n"
    b"id: %b\ndata: plain\n\n" % (EMAIL.encode(), CARD.encode(), EMAIL.encode())
)


def rewrite(data, size=1 << 30, **fields):
    values = order(**fields)
    report = values.new_report()
    return run(EventRewriter(values, report), data, size), report


@pytest.mark.parametrize("size", [1, 2, 5, 1 << 30])
def test_events_keep_their_lines_and_lose_their_secrets(size):
    shown, report = rewrite(STREAM, size)
    assert b"bob.smith" not in shown and CARD.encode() not in shown
    lines = shown.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    assert len(lines) == len(STREAM.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n"))
    assert lines[0].endswith(b": hello") and lines[1:3] == [b"event: made", b"id: 1"]
    assert json.loads(lines[3].removeprefix(b"data: ") + lines[4].removeprefix(b"data: "))["n"] == 1
    assert b"retry: 100" in lines and b"data: plain" in lines and b"data: second" in lines
    assert {(e.label, e.place) for e in report.take()} == {
        ("email", "data.email"),
        ("payment_card", "data"),
        ("email", "id"),
    }


def test_an_event_is_shown_as_soon_as_it_is_whole():
    values = order()
    events = EventRewriter(values, values.new_report())
    assert events.feed(b"data: one") == b""
    assert events.feed(b"\n") == b""
    assert events.feed(b"\n") == b"data: one\n\n"
    assert events.feed(b"data: " + EMAIL[:5].encode()) == b"" and events.flush() == b""
    assert b"bob" not in events.feed(EMAIL[5:].encode() + b"\n\n")


@settings(deadline=None, max_examples=80)
@given(
    st.lists(st.sampled_from([b"data: x", b"\n", b"\r", b"\r\n", b":x", b"data", b"id: 7", b"x:y:z"])),
    st.integers(1, 9),
)
def test_without_secrets_every_byte_stays(parts, size):
    data = b"".join(parts)
    assert rewrite(data, size)[0] == data


def test_a_secret_over_two_lines_of_one_event_goes_and_the_lines_stay():
    key = b"data: -----BEGIN RSA PRIVATE KEY-----\n" + b"data: MIIEowIBAAKCAQEA0123456789\n" * 6
    shown, _ = rewrite(key + b"data: -----END RSA PRIVATE KEY-----\n\n")
    assert b"MIIE" not in shown and shown.count(b"data: ") == 8 and shown.endswith(b"\n\n")


def test_a_long_event_is_masked_as_text_in_bounded_memory():
    line = f"data: {EMAIL} ".encode() + b"x" * 900 + b"\n"
    data = line * (2 * MAX_EVENT_BYTES // len(line)) + b"\ndata: " + CARD.encode() + b"\n\n"
    values = order()
    events = EventRewriter(values, values.new_report())
    shown, most = b"", 0
    for start in range(0, len(data), 50_000):
        shown += events.feed(data[start : start + 50_000])
        most = max(most, start - len(shown))
    shown += events.finish()
    assert b"bob" not in shown and CARD.encode() not in shown
    assert most < MAX_EVENT_BYTES + 200_000
    with pytest.raises(Unreadable):
        rewrite(data, 50_000, columns=("salary",))


def test_columns_are_found_in_events():
    shown, _ = rewrite(b'data: {"salary": 12, "n": 3}\n\n', columns=("salary",), has_stand_ins=True)
    assert shown == b'data: {"salary": 0, "n": 3}\n\n'
