"""Sightings of a batch: values of answers and requests by token, others by fingerprint, nothing of Custody's own."""

import time
from typing import Any

from masking.engine import Masker
from masking.tokens import FlowKey, TokenKey
from processors.flows_of import (
    BUCKETS,
    MAX_FINGERPRINTS_PER_BATCH,
    MAX_FINGERPRINTS_PER_EVENT,
    FlowReader,
    Sightings,
    chain_of,
    masked_values,
)  # fmt: skip
from processors.pieces import Lexicon, Pieces, take_apart
from processors.redaction import Redactor
from processors.screening import Changes, redact_pieces
from processors.sighting_batch import encode_sightings
from schemas.events import Event, EventBatch, Hop, Masked, Origin, SessionEvent, SightingBatch
from schemas.wire import framing
from tests.processors.pipeline import CARD, make_context, make_event
from tests.processors.test_pieces import HEAD
from tests.support.compiled import COMPILED

REDACTOR = Redactor(Masker(tokens=TokenKey(b"k" * 32), kept=COMPILED))
KEY = FlowKey(b"k" * 32)
TOKEN = TokenKey(b"k" * 32).token(CARD.encode())
ID = "cus_9fT3x7Lq2WbZ81mk"


def sightings_of(*events: Any, reader: FlowReader | None = None, **context: Any) -> list[dict[str, Any]]:
    batch = EventBatch("p", "e", 0, Origin("log", 0, 1), sessions=[make_context("s", **context)])
    batch.events = [SessionEvent(0, event) for event in events]
    fields = framing.decode_fields(framing.encode(batch))[1]
    REDACTOR.redact(fields)
    return flat((reader or FlowReader(KEY)).find(fields))


def flat(found: Sightings) -> list[dict[str, Any]]:
    joined: dict[int, dict[str, Any]] = {}
    for sightings in found.values():
        for item in sightings:
            mine = joined.setdefault(item["position"], {**item, "values": []})
            mine["values"] += item["values"]
    return [joined[position] for position in sorted(joined)]


def tokens(sighting: dict[str, Any]) -> set[tuple[str, str]]:
    return {(value["label"], value["token"]) for value in sighting["values"]}


ROWS = f'{{"columns":["id","card"],"rows":[["{ID}","{CARD}"]]}}'.encode()


def test_answers_and_requests_by_token_and_by_fingerprint() -> None:
    answer = make_event(1, "action.completed", payload=ROWS, payload_type="rows", duration_us=400)
    request = make_event(2, "action.requested", statement=f"INSERT INTO x VALUES ('{CARD[:4]}-{CARD[4:]}', '{ID}')")
    seen, sent = sightings_of(answer, request, run_id="r1")
    values = {("payment_card", TOKEN), ("", KEY.fingerprint(ID.replace("_", "").lower().encode()))}
    assert tokens(seen) == values == tokens(sent)
    assert (seen["is_received"], sent["is_received"]) == (True, False)
    assert seen["began"] == seen["at"] - 400 and sent["began"] == sent["at"]
    assert (seen["run_id"], seen["resource"], seen["session_id"], seen["seq"]) == ("r1", "db", "s", 1)


def test_every_encoding_of_a_request_gives_the_same_tokens() -> None:
    import base64
    from urllib.parse import quote

    wrapped = base64.b64encode(f"card={CARD}&id={ID}".encode()).decode()
    requests = [
        make_event(1, "action.requested", payload=wrapped.encode(), payload_type="text"),
        make_event(2, "action.requested", statement=f"GET https://x.example/?c={quote(CARD)}&id={quote(ID, safe='')}"),
        make_event(3, "data.sent", payload=f'{{"c": {{"n": "{CARD}", "id": "{ID.upper()}"}}}}'.encode(),
                   payload_type="json"),
        make_event(4, "action.requested", statement="INSERT INTO t VALUES ($1, $2)", parameters=[CARD, ID]),
    ]  # fmt: skip
    wanted = {TOKEN, KEY.fingerprint(ID.replace("_", "").lower().encode())}
    for sighting in sightings_of(*requests):
        assert {token for _, token in tokens(sighting)} >= wanted, sighting["position"]


def test_masked_fingerprints_are_not_followed_twice_and_no_content_goes_along() -> None:
    (seen,) = sightings_of(make_event(1, "action.completed", payload=ROWS, payload_type="rows"))
    assert len(seen["values"]) == 2
    value = encode_sightings({"log_id": "log", "partition": 0, "offset": 1}, 0, [seen])
    assert ID.encode() not in value and CARD.encode() not in value
    batch = framing.decode(value)
    assert isinstance(batch, SightingBatch) and batch.sightings[0].values[0].token in {t for _, t in tokens(seen)}


def test_what_is_no_flow_is_left_out() -> None:
    events = [
        make_event(1, "action.completed"),
        make_event(2, "session.opened"),
        make_event(3, "action.requested", attributes={"header.authorization": f"Bearer {ID}{ID}"}),
        make_event(4, "action.decided", statement=f"'{CARD}'"),
    ]
    assert sightings_of(*events) == []
    assert sightings_of(make_event(1, statement=f"'{CARD}'"), protocol="custody") == []


def test_without_a_key_only_masked_values_are_followed() -> None:
    (seen,) = sightings_of(make_event(1, "action.completed", payload=ROWS, payload_type="rows"), reader=FlowReader())
    assert tokens(seen) == {("payment_card", TOKEN)}


def test_names_that_a_model_found_in_prose_are_not_followed() -> None:
    masked = [{"label": label, "token": label, "place": "payload"} for label in ("person", "email", "location")]
    assert masked_values({"masked": masked}) == [{"label": "email", "token": "email"}]


def test_a_token_is_always_in_one_bucket() -> None:
    events = [make_event(n, "action.completed", payload=f"{CARD} {ID}{n:03d}x9".encode(), payload_type="text")
              for n in range(1, 31)]  # fmt: skip
    batch = EventBatch("p", "e", 0, Origin("log", 0, 1), sessions=[make_context("s")])
    batch.events = [SessionEvent(0, event) for event in events]
    fields = framing.decode_fields(framing.encode(batch))[1]
    REDACTOR.redact(fields)
    where: dict[str, set[int]] = {}
    for bucket, sightings in FlowReader(KEY).find(fields).items():
        assert 0 <= bucket < BUCKETS
        for item in sightings:
            for value in item["values"]:
                where.setdefault(value["token"], set()).add(bucket)
    assert len(where) == 31 and all(len(buckets) == 1 for buckets in where.values())


def test_a_busy_batch_is_bounded() -> None:
    def body(number: int) -> bytes:
        return " ".join(f"k{number:x}a{i:03d}b7c{i * 7919:06d}d9" for i in range(200)).encode()

    events = [make_event(n, "action.completed", payload=body(n), payload_type="text") for n in range(1, 500)]
    started = time.process_time()
    found = sightings_of(*events)
    assert time.process_time() - started < 5
    assert max(len(item["values"]) for item in found) <= MAX_FINGERPRINTS_PER_EVENT
    assert sum(len(item["values"]) for item in found) <= MAX_FINGERPRINTS_PER_BATCH


def both_ways(events: list[Event], reader: FlowReader) -> tuple[list[dict[str, Any]], Pieces]:
    """What is found in a batch that is read whole is what is found in one that is taken apart."""
    sessions = [make_context("s", agent="a"), make_context("t", run_id=CARD), make_context("c", protocol="custody")]
    sessions.append(make_context("u", agent="b"))
    batch = EventBatch("p", "e", 7, sessions=sessions)
    batch.events = [SessionEvent(index % 4, event) for index, event in enumerate(events)]
    plain = framing.encode_body("EventBatch", framing.batch_fields(batch))
    fields = framing.decode_body("EventBatch", plain)
    REDACTOR.redact(fields)
    lexicon = Lexicon()
    for _ in range(2):  # the second time most of it is known
        pieces = take_apart(plain, len(HEAD), lexicon)
        assert pieces is not None
        assert reader.find_in_pieces(pieces, redact_pieces(pieces, REDACTOR, lexicon)) == reader.find(fields)
    return flat(reader.find(fields)), pieces


def flowing_events(count: int) -> list[Event]:
    made = []
    for n in range(1, count + 1, 6):
        made += [
            make_event(n, "action.completed", payload=f"{ID}{n:04d}x7".encode(), payload_type="text", statement=ID),
            make_event(n + 1, "action.requested", statement="select $1", parameters=[None, f"{ID}{n:04d}y8", "ß"]),
            make_event(n + 2, "action.completed", payload=ROWS, payload_type="rows"),
            make_event(n + 3, "action.requested", statement=f"x {CARD} {ID}", objects=["o"], attributes={"a": "b"}),
            make_event(n + 4, "action.completed", payload=b"\xff" + ID.encode(), payload_type="binary"),
            make_event(n + 5, "data.received", payload=b"t", payload_type="text",
                       masked=[Masked("email", 2, "t" * 16, "payload")]),
        ]  # fmt: skip
    return made


def test_a_batch_that_is_taken_apart_gives_the_same() -> None:
    for count in (6, 30, 36, 600):
        for reader in (FlowReader(KEY), FlowReader()):
            found, _ = both_ways(flowing_events(count), reader)
            assert any(label == "email" for item in found for label, _ in tokens(item)), "masked by its proxy"
            assert all(item["run_id"] != CARD and item["position"] % 4 != 2 for item in found)


class CountedPieces:
    """Notes which events are read. Wraps: compiled classes have no interpreted subclasses."""

    def __init__(self, pieces: Pieces) -> None:
        self._pieces = pieces
        self.read: list[int] = []

    def read_event(self, index: int) -> dict[str, Any]:
        self.read.append(index)
        return self._pieces.read_event(index)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pieces, name)

    def __len__(self) -> int:
        return len(self._pieces)


def test_events_without_anything_to_find_are_not_read() -> None:
    words = [make_event(n, "action.completed", payload=b"some words only", payload_type="text") for n in range(12)]
    _, pieces = both_ways([*words, *flowing_events(6)], FlowReader(KEY))
    counted: Any = CountedPieces(pieces)
    assert FlowReader(KEY).find_in_pieces(counted, Changes())
    assert counted.read == [12, 13, 14, 15, 16, 17]


def test_a_chain_is_its_agents_without_the_person() -> None:
    delegation = [vars(Hop("planner", "ann")), vars(Hop("executor", "planner"))]
    assert chain_of({"agent": "executor", "principal": "ann", "delegation": delegation}) == ["planner"]
