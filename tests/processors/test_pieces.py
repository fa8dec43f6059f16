"""A batch taken apart and put together again is the batch, whatever was changed in between."""

import pytest

from processors.admission import head_of
from processors.pieces import Lexicon, Pieces, known_context, put_together, read_context, take_apart
from processors.walk import MAX_KNOWN
from schemas.errors import RecordError
from schemas.events import Event, EventBatch, Hop, Masked, SealedHeader, SessionEvent
from schemas.wire import framing
from schemas.wire.avro import text, zigzag
from schemas.wire.batching import encode_context
from tests.processors.pipeline import make_context, make_event

HEADER = SealedHeader("p", "e", 0, 7, 1, "k", b"")
HEAD = head_of(HEADER)


def encoded(*events: Event) -> bytes:
    sessions = [make_context("s1", delegation=[Hop("a", "b")]), make_context("s2", attributes={"user": "x"})]
    batch = EventBatch("p", "e", 7, sessions=sessions)
    batch.events = [SessionEvent(index % 2, event) for index, event in enumerate(events)]
    return framing.encode_body("EventBatch", framing.batch_fields(batch))


PLAIN = encoded(
    make_event(1, statement="select 1", parameters=["a", None], attributes={"kind": "query"}, payload=b"x" * 9000),
    make_event(2, masked=[Masked("card", 1, "t", "statement")], verdict="deny", links={"trace": "1"}),
    make_event(3, statement="ß" * 100, rows=1 << 60),
)


def apart(plain: bytes) -> Pieces:
    pieces = take_apart(plain, len(HEAD), Lexicon())
    assert pieces is not None
    return pieces


@pytest.mark.parametrize("plain", [PLAIN, encoded(make_event(1)), encoded()])
def test_it_holds_what_the_general_reader_reads(plain: bytes) -> None:
    fields, pieces = framing.decode_body("EventBatch", plain), apart(plain)
    assert [read_context(item) for item in pieces.contexts] == fields["sessions"]
    assert [pieces.read_event(index) for index in range(len(pieces))] == fields["events"]
    assert [item.agent for item in pieces.known] == [item["agent"] for item in fields["sessions"]]


@pytest.mark.parametrize("plain", [PLAIN, encoded(make_event(1, operation="read", objects=["a", "b"], status="1"))])
def test_kind_and_texts_alone_are_those_of_the_event(plain: bytes) -> None:
    pieces = apart(plain)
    for index in range(len(pieces)):
        event = pieces.read_event(index)["event"]
        assert pieces.kind_of(index) == text(event["kind"])
        said = [event["statement"], *(item for item in event["parameters"] if item is not None)]
        assert pieces.read_texts(index) == (event["payload"], [item.encode() for item in said])


@pytest.mark.parametrize("plain", [PLAIN, encoded(make_event(1)), encoded(make_event(1), make_event(2))])
def test_what_is_not_changed_is_copied(plain: bytes) -> None:
    assert put_together(apart(plain), HEAD, None, {}) == plain


@pytest.mark.parametrize("changed", [(), (0,), (1,), (2,), (0, 2), (0, 1, 2)])
@pytest.mark.parametrize("are_contexts_changed", [False, True])
def test_what_is_changed_is_encoded(changed: tuple[int, ...], are_contexts_changed: bool) -> None:
    fields, pieces = framing.decode_body("EventBatch", PLAIN), apart(PLAIN)
    for index in changed:
        fields["events"][index]["event"]["statement"] = "***"
    if are_contexts_changed:
        fields["sessions"][1]["client"] = "***"
    contexts = fields["sessions"] if are_contexts_changed else None
    made = put_together(pieces, HEAD, contexts, {index: fields["events"][index] for index in changed})
    assert made == framing.encode_body("EventBatch", fields)


def test_a_batch_in_several_blocks_is_left_to_the_general_reader() -> None:
    starts = apart(PLAIN).walked.starts
    start, first, end = starts[0], starts[1], starts[-1]
    two = PLAIN[: start - 1] + zigzag(1) + PLAIN[start:first] + zigzag(2) + PLAIN[first:end] + b"\x00"
    sized = PLAIN[: start - 1] + zigzag(-3) + zigzag(end - start) + PLAIN[start:end] + b"\x00"
    for blocks in (two, sized):
        assert framing.decode_body("EventBatch", blocks) == framing.decode_body("EventBatch", PLAIN)
        assert take_apart(blocks, len(HEAD), Lexicon()) is None


def test_anything_else_is_refused() -> None:
    for end in range(len(PLAIN) - 1, len(HEAD) - 1, -97):
        with pytest.raises(RecordError):
            take_apart(PLAIN[:end], len(HEAD), Lexicon())
    for junk in (b"\xff" * 40, b"\x02" + b"\xfe" * 40, PLAIN[len(HEAD) :] + b"\x00"):
        with pytest.raises(RecordError):
            take_apart(HEAD + junk, len(HEAD), Lexicon())


def test_a_lexicon_keeps_contexts_and_is_bounded() -> None:
    lexicon, pieces = Lexicon(), apart(PLAIN)
    first = lexicon.know(pieces.contexts[0])
    assert lexicon.know(pieces.contexts[0]) is first
    for number in range(MAX_KNOWN + 5):
        lexicon.keep(b"%d" % number, first)
    assert len(lexicon.contexts) <= MAX_KNOWN


def test_short_contexts_are_kept_and_long_ones_are_not() -> None:
    short, long = (encode_context(make_context(attributes={"note": "x" * size})) for size in (3, 5_000))
    assert known_context(short) == read_context(short)
    assert known_context(short) is known_context(bytes(bytearray(short)))
    assert known_context(long) == read_context(long)
    assert known_context(long) is not known_context(long)
