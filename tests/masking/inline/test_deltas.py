import json
import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from masking.inline.deltas import (
    CALM_PAUSES,
    MAX_HELD_BYTES,
    MAX_HELD_DATA,
    TENSE_PAUSES,
    DeltaHold,
    tail_of,
)
from tests.masking.inline.helpers import CARD, EMAIL, PASSWORD, order

LINE = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQ"
KEY = "\n".join(("-----BEGIN PRIVATE KEY-----", *[LINE] * 9, "-----END PRIVATE KEY-----"))
TOKEN = "ghp" + "_16C7e42F292c6912E7710c838347Ae178B4a"
SECRETS = (CARD, "4111 1111 1111 1111", EMAIL, KEY, f"password={PASSWORD}", TOKEN)
NEEDLES = (CARD, "1111 1111", "bob.smith", "BAQEFAASC", PASSWORD, "16C7e42F292c6912")
FORMATS = {
    "chat": lambda text, n: {"id": "c", "choices": [{"index": n, "delta": {"content": text}, "finish_reason": None}]},
    "tool call": lambda text, n: {
        "choices": [{"index": 0, "delta": {"tool_calls": [{"index": n, "function": {"arguments": text}}]}}]
    },
    "blocks": lambda text, n: {
        "type": "content_block_delta",
        "index": n,
        "delta": {"type": "text_delta", "text": text},
    },
    "responses": lambda text, n: {"type": "response.output_text.delta", "output_index": n, "delta": text},
    "plain": lambda text, n: {"response": text, "done": False, "index": n},
}
PATHS = {
    "chat": lambda event: event["choices"][0]["delta"]["content"],
    "tool call": lambda event: event["choices"][0]["delta"]["tool_calls"][0]["function"]["arguments"],
    "blocks": lambda event: event["delta"]["text"],
    "responses": lambda event: event["delta"],
    "plain": lambda event: event["response"],
}


def hold(**fields):
    values = order(**fields)
    report = values.new_report()
    return DeltaHold(values, report, "data"), report


def stream(pieces, form="chat", index=0, held=None):
    """(number, document) of every event that comes out; all of them do, in order."""
    held = held or hold()[0]
    out = []
    for number, piece in enumerate(pieces):
        data = json.dumps(FORMATS[form](piece, index), ensure_ascii=False).encode()
        out += held.take(number, data)
    out += held.finish()
    assert [number for number, _ in out] == list(range(len(pieces)))
    return [json.loads(data) for _, data in out]


def text_of(events, form="chat"):
    return "".join(map(PATHS[form], events))


def cut(text, rng, longest):
    pieces = []
    while text:
        size = rng.randint(1, longest)
        pieces.append(text[:size])
        text = text[size:]
    return pieces


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("longest", [1, 4, 30])
def test_a_secret_over_many_events_becomes_one_token(form, longest):
    text = "Sure, here it is: " + ", and ".join(SECRETS) + " (ünïcode) as asked."
    events = stream(cut(text, random.Random(longest), longest), form)
    shown = text_of(events, form)
    assert not any(needle in shown for needle in NEEDLES), shown
    assert shown.startswith("Sure, here it is: ‹payment_card:") and shown.endswith("› (ünïcode) as asked.")
    assert shown.count("‹") == len(SECRETS)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.sampled_from(["a", " ", "word ", "12", "\n", "é", "-", "4 ", "(", "x: "]), max_size=40),
    st.integers(1, 9),
)
def test_without_secrets_every_piece_comes_out_as_it_was(parts, longest):
    pieces = cut("".join(parts), random.Random(7), longest)
    events = stream(pieces)
    assert [PATHS["chat"](event) for event in events] == pieces


def test_words_wait_for_their_end_and_no_longer():
    held, report = hold()
    take = lambda text: [number for number, _ in held.take(text, json.dumps({"text": text}).encode())]  # noqa: E731
    assert take("Hel") == [] and take("lo") == []
    assert take(" wor") == ["Hel", "lo"]
    assert take("ld. ") == [" wor", "ld. "]
    assert take("41") == [] and take("11 1111 11") == [] and take("11 1111 ") == []
    assert take("is it") == ["41", "11 1111 11", "11 1111 "]
    assert held.take("end", b"[DONE]") == [("is it", b'{"text": "is it"}'), ("end", b"[DONE]")]
    assert not held.is_holding and report.total == 1


def test_pings_and_comments_keep_their_place_and_end_nothing():
    held, _ = hold()
    assert held.take(1, b'{"text": "4111 1111 "}') == []
    assert held.take(2, b'{"type": "ping"}') == [] and held.take(3, b"", is_quiet=True) == []
    assert held.take(4, b'{"text": "1111 1111"}') == []
    shown = held.finish()
    assert [number for number, _ in shown] == [1, 2, 3, 4]
    assert json.loads(shown[0][1])["text"].startswith("‹payment_card:") and shown[3][1] == b'{"text": ""}'


def test_texts_of_several_indices_are_not_mixed_up():
    held, _ = hold()
    out = []
    for first, second in zip(["4111 1111", " 1111 11", "11 x"], ["bob.", "smith@exam", "ple.com x"], strict=True):
        out += held.take(0, json.dumps(FORMATS["blocks"](first, 0)).encode())
        out += held.take(1, json.dumps(FORMATS["blocks"](second, 1)).encode())
    out += held.finish()
    shown = {n: "".join(PATHS["blocks"](json.loads(data)) for number, data in out if number == n) for n in (0, 1)}
    assert shown[0].startswith("‹payment_card:") and shown[1].startswith("‹email:")


def test_a_name_that_was_shown_already_tells_what_follows():
    shown = text_of(stream(["The password is ", "swordfish", "22, as", " ever"]))
    assert shown.startswith("The password is ‹password:") and "swordfish" not in shown


def test_pauses_bring_out_words_soon_and_parts_of_secrets_later():
    held, _ = hold()
    assert held.take(1, b'{"text": "so it"}') == []
    assert [len(held.pause()) for _ in range(CALM_PAUSES)] == [0] * (CALM_PAUSES - 1) + [1]
    assert held.take(2, b'{"text": " 4111 1111 1"}') == []
    assert [len(held.pause()) for _ in range(TENSE_PAUSES)] == [0] * (TENSE_PAUSES - 1) + [1]
    assert held.take(3, json.dumps({"text": " " + KEY[:300]}).encode()) == []
    assert all(held.pause() == [] for _ in range(3 * TENSE_PAUSES))
    assert b"BAQEFAASC" not in held.finish()[0][1]


def test_what_is_held_is_bounded_and_still_masked():
    held, _ = hold()
    out = []
    for number in range(3000):
        out += held.take(number, b'{"text": "abcdefgh"}')
        assert sum(1 for _ in held._events) <= MAX_HELD_BYTES // 8 + 2
    assert len(out) > 3000 - MAX_HELD_BYTES // 8 - 3
    held, _ = hold()
    held.take(0, b'{"text": "x"}')
    wide = b'{"type": "ping", "pad": "' + b"x" * (MAX_HELD_DATA // 4) + b'"}'
    counts = [len(held.take(number, wide)) for number in range(5)]
    assert counts == [0, 0, 0, 5, 1]


def test_many_channels_and_long_texts_stay_cheap():
    held, _ = hold()
    began = time.process_time()
    for number in range(2000):
        held.take(number, json.dumps({"index": number, "text": "one "}).encode())
        held.take(number, json.dumps({"index": 0, "text": "two three "}).encode())
    assert time.process_time() - began < 4
    assert len(held._channels) <= 65
    assert max(len(channel.text) for channel in held._channels.values()) < 2000


@pytest.mark.parametrize(
    ("text", "tail"),
    [("", ""), ("a b", "b"), ("a b ", ""), ("no 4111 1111 ", "4111 1111 "), ("(12) 34-5", "(12) 34-5"),
     ("x 1 y 2", "2"), ("see -----BEGIN RSA PRIVATE KEY-----\nab ", "-----BEGIN RSA PRIVATE KEY-----\nab ")],
)  # fmt: skip
def test_where_a_text_may_be_cut_off(text, tail):
    assert text.encode()[tail_of(text.encode(), 0) :].decode() == tail
