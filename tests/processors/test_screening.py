"""Masking by pieces gives what masking of every field gives, and looks at little twice."""

import os
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from masking.engine import Masker
from masking.tokens import TokenKey
from processors.admission import Opened
from processors.derivation import Derived, derive
from processors.pieces import Lexicon, take_apart
from processors.redaction import Redactor
from processors.screening import redact_pieces
from processors.walk import MAX_KNOWN
from schemas.errors import RecordError
from schemas.events import Event, EventBatch, Masked, Origin, SessionContext, SessionEvent
from schemas.wire import framing
from schemas.wire.tallies import SessionTally, decode_tallies
from tests.processors import test_borders
from tests.processors.pipeline import CARD, make_context, make_event
from tests.processors.test_pieces import HEAD, HEADER
from tests.support.compiled import COMPILED

MASKER = Masker(tokens=TokenKey(b"k" * 32), kept=COMPILED, rule_version="r")
REDACTOR = Redactor(MASKER)
ORIGIN = Origin("log", 0, 3)


def plain_of(events: list[Event], contexts: list[SessionContext] | None = None) -> bytes:
    batch = EventBatch("p", "e", 7, sessions=contexts or [make_context("s", opened_at=1)])
    batch.events = [SessionEvent(index % len(batch.sessions), event) for index, event in enumerate(events)]
    return framing.encode_body("EventBatch", framing.batch_fields(batch))


def derived(plain: bytes, lexicon: Lexicon) -> Derived:
    pieces = take_apart(plain, len(HEAD), lexicon)
    assert pieces is not None
    return derive(Opened(HEADER, plain, pieces), ORIGIN, REDACTOR, lexicon, [], 1)


def check(plain: bytes, lexicon: Lexicon) -> Derived:
    made = derived(plain, lexicon)
    whole = derive(Opened(HEADER, plain, None), ORIGIN, REDACTOR, lexicon, [], 1)
    assert framing.decode(made.value) == framing.decode(whole.value)
    assert (made.slices, made.facts, made.flows) == (whole.slices, whole.facts, whole.flows)
    check_tallies(made)
    return made


def check_tallies(made: Derived) -> None:
    """They say what reading the events says."""
    batch = framing.decode(made.value)
    assert isinstance(batch, EventBatch)
    expected: dict[int, SessionTally] = {}
    for item in batch.events:
        event = item.event
        session_id = batch.sessions[item.session].session_id
        tally = expected.setdefault(item.session, SessionTally(session_id, event.seq))
        if event.verdict != "none":
            tally.verdicts[event.verdict] = tally.verdicts.get(event.verdict, 0) + 1
        tally.actions += event.kind == "action.requested"
        tally.gaps += event.kind == "audit.gap"
        tally.rows += event.rows
        tally.errors += bool(event.error)
        tally.masked += sum(item.count for item in event.masked)
    is_closing = any(item.event.kind == "session.closed" for item in batch.events)
    assert (made.tallies is None) is is_closing
    assert made.tallies is None or decode_tallies(made.tallies) == (list(expected.values()), len(batch.events))


WORDS = st.sampled_from(["", "select 1", CARD, f"pay {CARD} now", "ann@example.com", "ß", "password", "x" * 100, "200"])
MAPS = st.dictionaries(st.sampled_from(["kind", "header.cookie", "password", "note", CARD]), WORDS, max_size=3)
ROWS = st.sampled_from(
    [
        b'{"columns":["n","card"],"rows":[["1","%s"]]}' % CARD.encode(),
        b'{"columns":["n"],"rows":[["a"],[null],[12]]}',
        b'{"columns":["n %s"],"rows":[["%s"]]}' % (CARD.encode(), CARD.encode()),
        b'{"columns":["password"],"rows":[["hunter2hunter2"]]}',
        b'{"a": "%s"}' % CARD.encode(),
        b"\xff\x00",
        b"",
    ]
)
EVENTS = st.builds(
    lambda seq, kind, **values: Event(seq, 1_750_000_000_000_000 + seq, kind, opening=b"o" * 16, **values),
    st.integers(1, 1 << 40),
    st.sampled_from(
        ["action.requested", "action.completed", "session.opened", "data.sent", "audit.gap", "session.closed"]
    ),
    action_id=WORDS, statement=WORDS, fingerprint=WORDS, parameters=st.lists(st.none() | WORDS, max_size=2),
    operation=st.sampled_from(["", "read"]), objects=st.lists(WORDS, max_size=2), status=WORDS, error=WORDS,
    verdict=st.sampled_from(["none", "allow", "deny"]), rows=st.integers(0, 300), attributes=MAPS, links=MAPS,
    masked=st.lists(st.builds(Masked, st.just("card"), st.integers(1, 300), WORDS), max_size=2),
    payload=ROWS, payload_type=st.sampled_from(["rows", "json", "text", "binary", ""]),
)  # fmt: skip
CONTEXTS = st.builds(
    lambda number, client, attributes: SessionContext(
        f"s{number}", "ann", f"agent-{number % 2}", client=client, attributes=attributes, resource="r", protocol="p"
    ),
    st.integers(0, 3), WORDS, MAPS,
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.lists(EVENTS, max_size=6), st.lists(CONTEXTS, min_size=1, max_size=3))
def test_both_ways_give_the_same(events: list[Event], contexts: list[SessionContext]) -> None:
    lexicon = Lexicon()
    plain = plain_of(events, contexts)
    check(plain, lexicon)
    check(plain, lexicon)  # and again, with what is known by then


@pytest.mark.parametrize(
    "values",
    [
        {"statement": f"pay {CARD}"},
        {"fingerprint": CARD},
        {"parameters": [None, CARD]},
        {"objects": ["t", CARD]},
        {"status": CARD},
        {"error": f"bad {CARD}"},
        {"attributes": {"note": CARD}},
        {"attributes": {CARD: "note"}},
        {"attributes": {"password": "hunter2hunter2"}},
        {"links": {"trace": CARD}},
        {"payload": CARD.encode(), "payload_type": "text"},
        {"payload": CARD.encode(), "payload_type": "binary"},
    ],
)
def test_one_secret_is_found_wherever_it_stands_and_however_often(values: dict[str, Any]) -> None:
    lexicon = Lexicon()
    clean = make_event(1, statement="select 1", fingerprint="f", attributes={"note": "n"}, status="200")
    for _ in range(3):
        made = check(plain_of([clean, make_event(2, "action.completed", **values), clean]), lexicon)
        assert CARD.encode() not in made.value and b"hunter2" not in made.value
        batch = framing.decode(made.value)
        assert isinstance(batch, EventBatch)
        assert [bool(item.event.masked) for item in batch.events][::2] == [False, False]


def test_result_rows_are_cleared_value_by_value() -> None:
    """Digits that look like a card until they are counted do not make an event be written anew."""
    content = b'{"columns":["n", "m"],"rows":[["4111111111111112", 5]]}'
    pieces = take_apart(plain_of([make_event(1, payload=content, payload_type="rows")]), len(HEAD), Lexicon())
    assert pieces is not None
    assert REDACTOR.find_candidates([content]) == [0]
    assert not redact_pieces(pieces, REDACTOR, Lexicon())


@pytest.mark.parametrize("place", ["statement", "action_id", "kind", "payload_type", "fingerprint", "error"])
def test_strings_that_are_no_text_are_refused(place: str) -> None:
    event = make_event(1, **{"kind": "data.sent", place: "marker"} if place != "kind" else {"kind": "marker"})
    plain = plain_of([event]).replace(b"marker", b"mark\xff\xff")
    pieces = take_apart(plain, len(HEAD), Lexicon())
    assert pieces is not None
    with pytest.raises(RecordError, match="UTF-8"):
        redact_pieces(pieces, REDACTOR, Lexicon())


def test_what_is_remembered_is_bounded() -> None:
    lexicon = Lexicon()
    for start in range(0, MAX_KNOWN + 900, 500):
        events = [make_event(n, fingerprint=str(n), attributes={"n": "x" * 2000}) for n in range(start, start + 500)]
        derived(plain_of(events), lexicon)
    assert 0 < len(lexicon.vocabulary.shapes) <= MAX_KNOWN
    assert all(len(region) < 2000 for region in lexicon.vocabulary.maps)


def test_a_broken_batch_is_refused_or_masked_as_it_reads() -> None:
    plain = plain_of([make_event(1, statement=CARD, attributes={"a": "b"}, payload=b"[1]", payload_type="json")] * 2)
    for place in range(len(HEAD), len(plain), 3):
        broken = plain[:place] + os.urandom(1) + plain[place + 1 :]
        try:
            pieces = take_apart(broken, len(HEAD), Lexicon())
            changes = pieces is not None and redact_pieces(pieces, REDACTOR, Lexicon())
        except RecordError:
            continue
        assert changes is not None


def test_rows_whose_column_is_a_telling_one_under_another_name_are_suspected() -> None:
    payload = b'{"columns":["id","x"],"rows":[["7","hunter2hunter2"]],"sources":["","password"]}'
    event = make_event(1, "action.completed", payload=payload, payload_type="rows")
    (item,) = test_borders.derived([SessionEvent(0, event)]).events
    assert b"hunter2" not in item.event.payload and "‹password:".encode() in item.event.payload
    assert b"sources" not in item.event.payload
