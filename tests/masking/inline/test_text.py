import pytest

from masking.inline.text import TextRewriter
from tests.masking.helpers import masker
from tests.masking.inline.helpers import CARD, EMAIL, order, run

LOG = "".join(f"line {number} of user{number}@example.com\n" for number in range(400)).encode()
KEY = (
    b"-----BEGIN RSA PRIVATE KEY-----\n"
    + b"MIIEowIBAAKCAQEA0123456789abcdef\n" * 8
    + b"-----END RSA PRIVATE KEY-----\n"
)


@pytest.mark.parametrize("size", [1, 13, 1000, 1 << 20])
def test_pieces_give_what_the_whole_gives(size):
    values = order()
    report = values.new_report()
    assert run(TextRewriter(values, report), LOG + KEY, size) == masker().mask_bytes(LOG + KEY).data
    assert sum(entry.count for entry in report.take()) == 401


def test_a_pause_shows_whole_lines_and_keeps_the_unfinished_one():
    values = order()
    text = TextRewriter(values, values.new_report())
    assert text.feed(f"hello\nmail {EMAIL}\ncard 4111 1111 ".encode()) == b""
    shown = text.flush()
    assert shown.startswith(b"hello\nmail \xe2\x80\xb9email:") and shown.endswith(b"\n")
    assert text.flush() == b""
    assert CARD[-4:].encode() not in text.feed(b"1111 1111\n") + text.finish()


def test_a_pause_within_a_private_key_shows_nothing_of_it():
    values = order()
    text = TextRewriter(values, values.new_report())
    assert text.feed(b"before\n" + KEY[:100]) + text.flush() == b""
    rest = text.feed(KEY[100:] + b"after\n") + text.flush()
    assert rest.startswith(b"before\n") and rest.endswith(b"\nafter\n") and b"MIIE" not in rest


def test_only_the_labels_of_the_order_go():
    values = order(labels=("payment_card",))
    shown = run(TextRewriter(values, values.new_report()), f"{CARD} {EMAIL}\n".encode() * 2000, 700)
    assert CARD.encode() not in shown and shown.count(EMAIL.encode()) == 2000
