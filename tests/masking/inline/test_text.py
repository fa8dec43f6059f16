import pytest

from masking.inline.text import LONG_PAUSES, TextRewriter
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


BROKEN = [
    (b"token ghp_n4Jq8wXr2LtZ5vYc\n", b"7BkD9mFs3HgP6aQeUiWo\n", (b"ghp_n4Jq", b"7BkD9mFs")),
    (b"password:\n", b"  hunter2Zebra!9\n", (b"hunter2",)),
    (b"password: |\n", b"  hunter2Zebra!9\n", (b"hunter2",)),
    (b'key = "AKIAQ3VWXN" +\n', b'  "PLE7PLAN2B"\n', (b"AKIAQ3", b"PLE7PLAN")),
    (b"export A=AKIAQ3VWXN\\\n", b"PLE7PLAN2B\n", (b"AKIAQ3", b"PLE7PLAN")),
    (b"export A=AKIAQ3\\\r\n", b"VWXNPLE7PLAN2B\r\n", (b"AKIAQ3", b"VWXNPLE7")),
]


@pytest.mark.parametrize("first, rest, parts", BROKEN)
def test_a_line_that_may_go_on_waits_for_the_next_through_short_pauses(first, rest, parts):
    values = order()
    text = TextRewriter(values, values.new_report())
    text.feed(b"hello\n" + first)
    shown = b"".join(text.flush() for _ in range(LONG_PAUSES - 1))
    assert b"hello\n".startswith(shown) and text.is_holding
    whole = shown + text.feed(rest) + text.finish()
    assert whole == masker().mask_bytes(b"hello\n" + first + rest).data
    assert not any(part in whole for part in parts)


@pytest.mark.parametrize("first, rest, parts", BROKEN)
def test_after_a_long_pause_the_line_is_shown_and_the_rest_of_the_secret_is_not(first, rest, parts):
    values = order()
    report = values.new_report()
    text = TextRewriter(values, report)
    text.feed(first)
    shown = b"".join(text.flush() for _ in range(LONG_PAUSES))
    assert shown == masker().mask_bytes(first).data and not text.is_holding
    after = text.feed(rest) + text.flush() + text.finish()
    assert after.endswith(rest[-1:]) and parts[-1] not in after and report.take()


def test_a_long_line_that_pauses_keeps_its_last_word():
    values = order()
    text = TextRewriter(values, values.new_report())
    line = b"word " * 3000 + b"card 4111 1111 "
    shown = text.feed(line) + text.flush()
    assert line.startswith(shown) and len(line) - len(shown) < 256 and b"4111" not in shown
    assert CARD[-4:].encode() not in text.feed(b"1111 1111\n") + text.finish()


def test_held_lines_are_bounded():
    values = order()
    text = TextRewriter(values, values.new_report())
    lines = b"0123456789abcdef0123456789abcde=\n" * 2000
    assert len(lines) - len(text.feed(lines) + text.flush()) < 9000
