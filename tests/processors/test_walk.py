"""What a walk over bytes finds is what the schema's own reader finds."""

from typing import Any

import pytest

from processors.facts_of import facts_of
from processors.pieces import Lexicon, take_apart
from processors.retention.slices import slices_of
from processors.walk import Walked, is_failed_status
from schemas.errors import RecordError
from schemas.events import Event, EventBatch, EventKind, Masked, SessionEvent, Verdict
from schemas.wire import framing
from schemas.wire.avro import zigzag
from tests.processors.pipeline import make_context, make_event
from tests.processors.test_pieces import HEAD

DAY_US = 86_400_000_000


def walk(*events: Event, lexicon: Lexicon | None = None) -> tuple[Walked, dict[str, Any]]:
    """What is found, and the fields."""
    batch = EventBatch("p", "e", 7, sessions=[make_context("s1", agent="a"), make_context("s2", agent="b")])
    batch.events = [SessionEvent(index % 2, event) for index, event in enumerate(events)]
    plain = framing.encode_body("EventBatch", framing.batch_fields(batch))
    pieces = take_apart(plain, len(HEAD), lexicon or Lexicon())
    assert pieces is not None
    return pieces.walked, framing.decode_body("EventBatch", plain)


def test_texts_by_owner() -> None:
    walked, _ = walk(
        make_event(1, statement="select 1", payload=b"[1]", payload_type="json"),
        make_event(2, statement="x" * 9000, payload=b"\xff", payload_type="binary"),
        make_event(3, payload=b"y" * 70, payload_type="rows", payload_digest=b"\xff" * 32),
        make_event(4, "session.opened"),
    )
    assert (walked.statements, walked.statement_owners) == ([b"select 1", b"x" * 9000], [0, 1])
    assert (walked.payloads, walked.payload_owners) == ([b"[1]", b"y" * 70], [0, 2])
    assert (walked.odd, walked.opened) == ([1], [3])
    assert {b"a1", b"a2", b"a3", b"a4"} <= set(walked.others)


def test_what_the_vocabulary_knows_is_not_given_again() -> None:
    lexicon = Lexicon()
    event = {"fingerprint": "f", "parameters": ["1"], "attributes": {"a": "b"}, "links": {"t": "1"}, "status": "200"}
    walked, _ = walk(make_event(1, **event), lexicon=lexicon)
    assert (len(walked.shapes), len(walked.outcomes), len(walked.maps)) == (1, 1, 2)
    lexicon.vocabulary.shapes.update(walked.shapes)
    lexicon.vocabulary.outcomes.update(walked.outcomes)
    lexicon.vocabulary.maps.update(walked.maps)
    walked, _ = walk(make_event(2, **event), make_event(3, **event | {"parameters": ["2"]}), lexicon=lexicon)
    assert (len(walked.shapes), walked.shape_owners, walked.outcomes, walked.maps) == (1, [1], [], [])


@pytest.mark.parametrize("kind", [*EventKind, "of.a.later.version"])
@pytest.mark.parametrize("verdict", list(Verdict))
def test_facts_are_what_the_fields_give(kind: str, verdict: str) -> None:
    outcomes: list[dict[str, Any]] = [
        {"status": "00000", "rows": 7, "bytes": 1 << 40, "payload": b"x", "payload_type": "rows"},
        {"status": "42501", "operation": "read", "objects": ["read:t", "read:u"]},
        {"error": "no", "payload_type": "rows"},
        {"status": "", "duration_us": 1 << 33},
        {"status": "404", "masked": [Masked("card", 300, "t", "p")], "links": {"a": "b"}},
    ]
    walked, fields = walk(*(make_event(n, kind, verdict=verdict, **facts) for n, facts in enumerate(outcomes, 1)))
    by_agent: dict[str, list[bytes]] = {}
    for owner, fact in zip(walked.fact_owners, walked.facts, strict=True):
        by_agent.setdefault("ab"[owner % 2], []).append(fact)
    assert by_agent == facts_of(fields)


@pytest.mark.parametrize("at", [0, 1, DAY_US - 1, DAY_US, 1 << 27, 20_000 * DAY_US - 1, 20_000 * DAY_US, -1, 1 << 60])
def test_days(at: int) -> None:
    near = [at, at + 1, at + (1 << 26), at + (1 << 28)]
    walked, fields = walk(*(Event(n, moment, "data.sent") for n, moment in enumerate(near, 1)))
    assert walked.days == {(n % 2, moment // DAY_US) for n, moment in enumerate(near)}
    assert len(slices_of(fields)) == len({day for _, day in walked.days} if abs(at) < 1 << 59 else {0})


def test_an_unknown_verdict_or_session_is_refused() -> None:
    batch = EventBatch("p", "e", 7, sessions=[make_context()], events=[SessionEvent(0, Event(1, 1, "k", opening=b""))])
    plain = framing.encode_body("EventBatch", framing.batch_fields(batch))
    assert plain.endswith(zigzag(0) * 16)
    verdict = plain.rindex(b"\x02k") + 2 + 6
    for place, value in ((verdict, 10), (verdict, 255), (plain.rindex(b"\x02k") - 3, 2)):
        broken = plain[:place] + bytes((value,)) + plain[place + 1 :]
        with pytest.raises(RecordError):
            take_apart(broken, len(HEAD), Lexicon())


def test_failed_statuses() -> None:
    assert [is_failed_status(status) for status in ("00000", "42501", "200", "500", "", "abc")] == [
        False, True, False, True, False, False,
    ]  # fmt: skip
