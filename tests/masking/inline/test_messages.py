"""Messages of one direction: each by itself, and the rest of a secret that an earlier one began."""

import json
import random
import re
import time

import pytest

from masking.inline.messages import CONTEXT_BYTES, PLACE, MessageMasker
from masking.inline.model import Unreadable
from tests.masking.inline.helpers import CARD, EMAIL, PASSWORD, order

TOKEN = "ghp" + "_16C7e42F292c6912E7710c838347Ae178B4a"
SECRETS = (TOKEN, CARD, EMAIL, "4111 1111 1111 1111", f"password={PASSWORD}")


class Conversation:
    def __init__(self) -> None:
        values = order()
        self.report = values.new_report()
        self.masker = MessageMasker(values, self.report)

    def send(self, message: str, *, is_final: bool = True) -> str:
        return self.masker.take(message.encode(), is_text=True, is_final=is_final).decode()


def parts(text: str, size: int = 4) -> list[str]:
    """All parts of a text of this size."""
    return [text[start : start + size] for start in range(len(text) - size + 1)]


def as_json(text: str) -> str:
    return json.dumps({"type": "response.text.delta", "delta": text})


@pytest.mark.parametrize("secret", SECRETS)
def test_the_rest_of_a_secret_is_masked_in_plain_text_and_in_json(secret: str) -> None:
    for cut in range(1, len(secret)):
        pieces = ("it is " + secret[:cut], secret[cut:] + " indeed")
        plain, deltas = Conversation(), Conversation()
        first, second = (plain.send(piece) for piece in pieces)
        started, ended = (json.loads(deltas.send(as_json(piece)))["delta"] for piece in pieces)
        for head, rest, report in ((first, second, plain.report), (started, ended, deltas.report)):
            assert secret not in head + rest and rest.endswith(" indeed"), cut
            if head == pieces[0] and not secret[:cut].endswith("="):  # nothing told what it begins
                tail = secret.rpartition("=")[2][cut - len(secret) :]
                left = re.sub("‹[^›]+›", "", rest.removesuffix(" indeed"))
                assert "‹" in rest and not any(part in left for part in (tail, *parts(tail))), cut
                is_known_alone = Conversation().send(pieces[1]) != pieces[1]
                assert is_known_alone or any(each.place.startswith(PLACE) for each in report.take()), cut


def test_the_token_is_that_of_the_whole_value() -> None:
    whole, split = Conversation(), Conversation()
    token = whole.send(TOKEN)
    assert token.startswith("‹github_")
    assert split.send(TOKEN[:20]) == TOKEN[:20]
    assert split.send(TOKEN[20:]) == token


def test_a_name_in_one_message_tells_the_value_in_the_next() -> None:
    conversation = Conversation()
    conversation.send("user=bob password=")
    assert PASSWORD not in conversation.send(PASSWORD)


def test_what_is_a_secret_by_itself_is_masked_whatever_came_before() -> None:
    for before in ("abc", "4", "x=", "AKIA", "{", '{"a": "b"}', ""):
        conversation = Conversation()
        conversation.send(before)
        assert TOKEN not in conversation.send(TOKEN) and CARD not in conversation.send(f"paid with {CARD}")


def test_harmless_messages_stay_as_they_are_and_memory_is_bounded() -> None:
    conversation = Conversation()
    began = time.process_time()
    for number in range(2000):
        text = f"tick {number} of the clock"
        assert conversation.send(text) == text
        assert conversation.send(as_json(text)) == as_json(text)
    assert len(conversation.masker._text._shown) <= CONTEXT_BYTES
    assert sum(len(each.text) for each in conversation.masker._deltas._channels.values()) < 8 * CONTEXT_BYTES
    assert time.process_time() - began < 20


def test_texts_of_different_channels_are_not_joined() -> None:
    conversation = Conversation()
    one, two = (json.dumps({"index": n, "delta": part}) for n, part in enumerate((CARD[:8], CARD[8:])))
    assert (conversation.send(one), conversation.send(two)) == (one, two)


def test_long_messages_come_in_parts_and_are_joined_to_nothing() -> None:
    conversation = Conversation()
    shown = conversation.send("a" * 9000 + " " + CARD[:9], is_final=False)
    shown += conversation.send(CARD[9:] + " end")
    assert CARD not in shown and "‹payment_card:" in shown
    assert conversation.send("1") == "1"


def test_binary_messages_are_refused_as_before() -> None:
    with pytest.raises(Unreadable):
        Conversation().masker.take(b"\x00\x01\x02\xff" * 9, is_text=False, is_final=True)


def test_letters_of_more_than_one_byte_are_never_cut() -> None:
    conversation, random_source = Conversation(), random.Random(3)
    for _ in range(50):
        text = "".join(random_source.choices("aé€𝄞 ", k=random_source.randrange(1, 400)))
        assert conversation.send(text) == text
