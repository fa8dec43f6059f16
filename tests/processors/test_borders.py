"""Secrets across the borders of recorded pieces."""

import random

import pytest

from processors.borders import REACH_BYTES, BorderMasker, may_cross, streams_of, windows_of
from processors.derivation import derive
from processors.pieces import Lexicon
from processors.redaction import Redactor
from schemas.events import EventBatch, Origin, SessionEvent
from schemas.wire import framing
from tests.masking.helpers import masker
from tests.processors.pipeline import CARD, make_event
from tests.processors.test_admission import admit, batch, seal

KEY = "ghp" + "_16C7e42F292c6912E7710c838347Ae178B4a"
TEXT = f"first {CARD}, then bob.smith@example.com; the last is {KEY} and that is all"
ORIGIN = Origin("log", 0, 1)


def cut(text: str, rng: random.Random) -> list[str]:
    pieces = []
    while text:
        size = rng.randint(1, 17)
        pieces.append(text[:size])
        text = text[size:]
    return pieces


def pieces_of(texts: list[str], kind: str = "data.sent", **values: object) -> list[SessionEvent]:
    values = {"action_id": "a", "payload_type": "text", **values}
    return [
        SessionEvent(0, make_event(seq, kind, payload=text.encode(), **values))  # type: ignore[arg-type]
        for seq, text in enumerate(texts, 1)
    ]


def derived(events: list[SessionEvent]) -> EventBatch:
    opened = admit(seal(batch(events=events)))
    made = derive(opened, ORIGIN, Redactor(masker()), Lexicon(), [], 1, borders=BorderMasker(masker()))
    found = framing.decode(made.value)
    assert isinstance(found, EventBatch)
    return found


@pytest.mark.parametrize("kind", ["data.sent", "data.received"])
@pytest.mark.parametrize("seed", range(6))
def test_a_secret_cut_anywhere_is_one_token(kind: str, seed: int) -> None:
    texts = cut(TEXT, random.Random(seed))
    made = derived(pieces_of(texts, kind))
    shown = b"".join(item.event.payload for item in made.events).decode()
    assert shown == masker().mask_text(TEXT).text
    assert len(made.events) == len(texts)
    labels = [entry.label for item in made.events for entry in item.event.masked]
    assert labels == ["payment_card", "email", "github_token"]


def test_only_pieces_of_one_stream_are_laid_side_by_side() -> None:
    halves = [CARD[:8], CARD[8:]]
    assert b"".join(item.event.payload for item in derived(pieces_of(halves)).events).startswith("‹".encode())
    for events in (
        [*pieces_of(halves[:1]), *pieces_of(halves[1:], "data.received")],
        [*pieces_of(halves[:1]), *pieces_of(halves[1:], action_id="b")],
        pieces_of(halves, is_truncated=True),
        pieces_of(halves, attributes={"websocket.end": "true"}),
    ):
        for seq, item in enumerate(events, 1):
            item.event.seq = seq
        assert b"".join(item.event.payload for item in derived(events).events).decode() == CARD
    parts = pieces_of(halves, attributes={"websocket.end": "false"})
    assert CARD[8:].encode() not in b"".join(item.event.payload for item in derived(parts).events)


def test_batches_without_streams_are_not_read_for_it() -> None:
    one = admit(seal(batch(events=pieces_of(["only one"]))))
    many = admit(seal(batch(events=pieces_of(["one", "two"]))))
    assert one.pieces is not None and many.pieces is not None
    assert not may_cross(one.pieces) and may_cross(many.pieces)
    assert not BorderMasker(masker()).has_crossing(many.pieces)


def test_bytes_that_are_no_text_are_left_to_the_redactor() -> None:
    events = pieces_of(["x", "y"])
    events[0].event.payload, events[1].event.payload = b"\xff\xfe" + CARD[:8].encode(), CARD[8:].encode()
    fields = {"events": [{"session": 0, "event": vars(item.event)} for item in events]}
    assert not BorderMasker(masker()).mask(fields)


def test_windows_are_disjoint_and_reach_far_enough() -> None:
    assert windows_of([], 10) == []
    assert windows_of([10, 20], 30) == [(0, 30)]
    far = 3 * REACH_BYTES
    assert windows_of([10, far], 2 * far) == [(0, 10 + REACH_BYTES), (far - REACH_BYTES, far + REACH_BYTES)]


def test_streams_are_told_apart_and_kept_in_order() -> None:
    def item(session: int, text: bytes) -> dict[str, object]:
        event = {"kind": "data.sent", "action_id": "", "attributes": {}, "is_truncated": False, "payload": text}
        return {"session": session, "event": event}

    found = list(streams_of([item(0, b"a"), item(1, b"x"), item(0, b"b"), item(1, b"y"), item(2, b"z")]))
    assert [[event["payload"] for event in events] for events in found] == [[b"a", b"b"], [b"x", b"y"]]
