"""The codec as a whole: recorded conversations in any cut, hostile bytes, ends."""

import tracemalloc

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.codecs.base import Closed, Hold, Opaque, Piece, Requested, Side
from ingest.codecs.postgres import Limits, PostgresCodec
from tests.ingest.codecs.postgres_messages import TERMINATE, complete, message, query, ready, row
from tests.ingest.codecs.postgres_replay import CAPTURES, Played, facts, load, play, run, split

NAMES = sorted(path.stem for path in CAPTURES.glob("*.jsonl"))
AGENT, UPSTREAM = Side.AGENT, Side.UPSTREAM


@pytest.mark.parametrize("name", NAMES)
def test_a_recorded_conversation_passes_unchanged(name: str) -> None:
    reads = load(name)
    played = play(reads)
    assert not played.opaque
    for to, source in ((UPSTREAM, AGENT), (AGENT, UPSTREAM)):
        assert bytes(played.sent[to]) == b"".join(data for side, data in reads if side is source)
    assert played.closed
    assert played.completed == played.actions
    assert all(action.status or action.error for action in played.completed)


@pytest.mark.parametrize("name", NAMES)
def test_reads_of_any_size_give_the_same_record(name: str) -> None:
    reads = load(name)
    whole = facts(play(reads))
    for size in (1, 3, 7, 64):
        assert facts(play(split(reads, size))) == whole


@pytest.mark.parametrize("name", ["simple", "psycopg_pipeline", "psycopg_copy", "portals"])
def test_a_cut_at_every_byte_boundary_of_a_read_gives_the_same_record(name: str) -> None:
    reads = load(name)
    whole = facts(play(reads))
    for index, (side, data) in enumerate(reads):
        for place in range(1, min(len(data), 300)):
            cut = [*reads[:index], (side, data[:place]), (side, data[place:]), *reads[index + 1 :]]
            assert facts(play(cut)) == whole


@pytest.mark.parametrize("name", ["simple", "psycopg_sync", "psycopg_copy", "psycopg_pipeline", "function_call"])
def test_a_conversation_truncated_anywhere_ends_in_order(name: str) -> None:
    reads = load(name)
    for count in range(len(reads)):
        side, data = reads[count]
        for place in {0, 1, 4, 5, len(data) // 2, len(data) - 1}:
            codec = PostgresCodec()
            played = play([*reads[:count], (side, data[:place])], codec)
            codec.receive_eof(AGENT)
            codec.receive_eof(UPSTREAM)
            run(codec, played)
            assert len(played.closed) == 1
            assert len(played.completed) == len(played.actions)
            assert all(action.status or action.error for action in played.completed)
            sent = sum(len(data) for data in played.sent.values()) + sum(o.size for o in played.opaque)
            assert sent == sum(len(d) for _, d in reads[:count]) + len(data[:place])


# a decision that waits for a person


def test_while_a_decision_waits_only_the_upstream_is_heard() -> None:
    codec = PostgresCodec()
    codec.receive(AGENT, query("SELECT 1"))
    assert [type(step) for step in codec.take_steps()] == [Requested]
    assert [type(step) for step in codec.take_steps()] == [Piece]
    codec.receive(AGENT, query("DELETE FROM t") + query("SELECT 2"))
    (asked,) = codec.take_steps()
    assert isinstance(asked, Requested) and asked.action.statement == "DELETE FROM t"
    assert codec.take_steps(UPSTREAM) == []
    codec.receive(UPSTREAM, complete("SELECT 0") + ready())
    assert [type(step) for step in codec.take_steps(UPSTREAM)][-1] is Piece
    assert codec.backlog(AGENT) > 0
    (piece,) = codec.take_steps()[:1]  # now it is allowed
    assert isinstance(piece, Piece) and bytes(piece.data) == query("DELETE FROM t")


def test_a_notice_never_comes_within_a_message() -> None:
    codec = PostgresCodec(limits=Limits(max_message_bytes=64))
    played = play([(AGENT, query("SELECT 1"))], codec)
    assert codec.notice("waits").startswith(b"N")
    long = row(b"x" * 500)
    codec.receive(UPSTREAM, long[:200])
    run(codec, played)
    assert bytes(played.sent[AGENT]) == long[:200] and codec.notice("waits") == b""
    codec.receive(UPSTREAM, long[200:])
    run(codec, played)
    assert codec.notice("waits").startswith(b"N")
    codec.receive_eof(UPSTREAM)
    run(codec, played)
    assert codec.notice("waits") == b""


# hostile bytes


def _survive(reads: list[tuple[Side, bytes]], on_opaque: str) -> None:
    codec = PostgresCodec(on_opaque=on_opaque, limits=Limits(max_message_bytes=256, max_in_flight=64))
    played = play(reads, codec)
    codec.receive_eof(AGENT)
    codec.receive_eof(UPSTREAM)
    run(codec, played)
    assert len(played.closed) == 1
    assert len(played.completed) == len(played.actions)


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(st.tuples(st.sampled_from(Side), st.binary(min_size=1, max_size=80)), max_size=12),
    st.sampled_from(["relay", "refuse"]),
)
def test_random_bytes_never_raise(reads: list[tuple[Side, bytes]], on_opaque: str) -> None:
    _survive(reads, on_opaque)


_BODIES = st.one_of(
    st.binary(max_size=30),
    st.sampled_from(
        [b"", b"\0", b"select 1\0", b"\0\0\0\0", b"\0select 1\0\0\0", b"\0\0\0\0\0\0\0\0", b"S\0", b"P\0", b"I"]
    ),
)
_MESSAGES = st.tuples(
    st.sampled_from([(AGENT, k) for k in "QPBDCESHFdcfX"] + [(UPSTREAM, k) for k in "123ACDEGHINSTVWZcdnst"]), _BODIES
)


@settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(_MESSAGES, max_size=30), st.sampled_from(["relay", "refuse"]), st.integers(1, 40))
def test_random_messages_never_raise(messages: list[tuple[tuple[Side, str], bytes]], on_opaque: str, size: int) -> None:
    reads = [(side, message(kind, body)) for (side, kind), body in messages]
    _survive(split(reads, size), on_opaque)


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_mutated_conversations_never_raise(data: st.DataObject) -> None:
    reads = load(data.draw(st.sampled_from([n for n in NAMES if n != "binary_types"])))
    for _ in range(data.draw(st.integers(1, 4))):
        index = data.draw(st.integers(0, len(reads) - 1))
        side, old = reads[index]
        place = data.draw(st.integers(0, len(old) - 1))
        match data.draw(st.sampled_from(["flip", "cut", "insert", "drop", "repeat"])):
            case "flip":
                reads[index] = (side, old[:place] + bytes((data.draw(st.integers(0, 255)),)) + old[place + 1 :])
            case "cut":
                reads[index] = (side, old[:place] or b"\0")
            case "insert":
                reads[index] = (side, old[:place] + data.draw(st.binary(min_size=1, max_size=9)) + old[place:])
            case "drop":
                reads = reads[:index] + reads[index + 1 :] or [(side, b"x")]
            case _:
                reads.insert(index, (side, old))
    _survive(reads, data.draw(st.sampled_from(["relay", "refuse"])))


def test_unparsable_bytes_are_refused_with_08p01() -> None:
    codec = PostgresCodec(on_opaque="refuse")
    codec.receive(AGENT, b"?" * 10)
    steps = list(codec.steps())
    assert [type(s) for s in steps] == [Opaque, Piece, Closed]
    assert isinstance(steps[1], Piece)
    assert b"C08P01" in bytes(steps[1].data)
    assert b"SFATAL" in bytes(steps[1].data)


def test_unparsable_bytes_pass_and_are_counted_where_the_resource_allows_it() -> None:
    codec = PostgresCodec(on_opaque="relay")
    reads = [(AGENT, query("select 1")), (AGENT, b"?garbage?"), (UPSTREAM, b"answer"), (AGENT, b"more")]
    played = play(reads, codec)
    assert [(o.source, o.size) for o in played.opaque] == [(AGENT, 9), (UPSTREAM, 6), (AGENT, 4)]
    assert bytes(played.sent[UPSTREAM]) == query("select 1") + b"?garbage?more"
    assert bytes(played.sent[AGENT]) == b"answer"
    assert played.completed[0].status == "08P01"


def test_bytes_held_back_when_the_session_becomes_opaque_still_pass() -> None:
    parse = b"P\0\0\0\x10\0select 1\0\0\0"
    played = play([(AGENT, parse), (AGENT, b"?????")], PostgresCodec(on_opaque="relay"))
    assert bytes(played.sent[UPSTREAM]) == parse + b"?????"
    assert sum(o.size for o in played.opaque) == len(parse) + 5


@pytest.mark.parametrize("length", [0, 3, 0x4000_0001, 0xFFFF_FFFF])
def test_a_bad_length_is_opaque(length: int) -> None:
    played = play([(AGENT, b"Q" + length.to_bytes(4) + b"select")])
    assert played.opaque and played.closed == ["protocol_violation"]


# ends


def test_terminate_closes_once_nothing_is_in_flight() -> None:
    codec = PostgresCodec()
    played = play([(AGENT, query("select 1") + TERMINATE)], codec)
    assert not played.closed
    codec.receive(UPSTREAM, row(b"1") + complete("SELECT 1") + ready())
    run(codec, played)
    assert played.closed == ["terminated"]
    assert played.completed[0].status == "00000"


def test_an_upstream_that_vanishes_completes_what_is_in_flight() -> None:
    codec = PostgresCodec()
    played = play([(AGENT, query("select 1"))], codec)
    codec.receive_eof(UPSTREAM)
    run(codec, played)
    assert played.completed[0].status == "08006"
    assert played.closed == ["upstream_closed"]


def test_a_half_closed_agent_still_gets_its_answer() -> None:
    codec = PostgresCodec()
    played = play([(AGENT, query("select 1"))], codec)
    codec.receive_eof(AGENT)
    run(codec, played)
    assert not played.closed
    codec.receive(UPSTREAM, complete("SELECT 0") + ready())
    run(codec, played)
    assert played.closed == ["agent_closed"]


def test_answers_go_on_while_a_request_waits_for_its_decision() -> None:
    codec = PostgresCodec()
    played = play([(AGENT, query("select 1"))], codec)
    codec.receive(AGENT, query("drop table t"))
    waiting = codec.steps(AGENT)
    played.take(next(waiting))
    codec.receive(UPSTREAM, complete("SELECT 0") + ready())
    for step in codec.steps(UPSTREAM):
        played.take(step)
    assert bytes(played.sent[AGENT]) == complete("SELECT 0") + ready()
    assert bytes(played.sent[UPSTREAM]) == query("select 1")
    codec.refuse(played.actions[1], "42501", "no")
    for step in waiting:
        played.take(step)
    assert b"C42501" in played.sent[AGENT]
    assert bytes(played.sent[UPSTREAM]) == query("select 1")


def test_only_the_action_just_requested_can_be_refused() -> None:
    codec = PostgresCodec()
    played = play([(AGENT, query("select 1"))], codec)
    with pytest.raises(ValueError, match="just requested"):
        codec.refuse(played.actions[0], "42501", "no")


# bounds


def test_a_large_copy_passes_in_bounded_memory() -> None:
    codec = PostgresCodec()
    play([(AGENT, query("copy t to stdout")), (UPSTREAM, message("H", b"\0\0\0"))], codec)
    chunk = message("d", b"x" * 8000) * 32
    _, base = tracemalloc.get_traced_memory() if tracemalloc.is_tracing() else (0, 0)
    tracemalloc.start()
    total = 0
    for _ in range(200):
        codec.receive(UPSTREAM, chunk)
        total += sum(len(s.data) for s in codec.steps() if isinstance(s, Piece))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert total == 200 * len(chunk)
    assert peak - base < 4 * len(chunk)


@pytest.mark.parametrize("side", [AGENT, UPSTREAM])
def test_one_message_of_a_gibibyte_passes_in_bounded_memory(side: Side) -> None:
    """A Query, and a DataRow: the head is looked at, the rest streams. (64 MiB of it are really sent.)"""
    codec = PostgresCodec()
    size = (1 << 30) - 5
    if side is AGENT:
        head = b"Q" + (size + 4).to_bytes(4) + b"select '"
    else:
        play([(AGENT, query("select 1"))], codec)
        head = b"D" + (size + 4).to_bytes(4) + b"\0\1" + (size - 6).to_bytes(4)
    played = Played()
    chunk = b"y" * 262_144
    tracemalloc.start()
    codec.receive(side, head)
    for _ in range(256):
        for step in codec.steps():
            if isinstance(step, Piece):
                played.sent[step.to] += b""
                assert step.hold is Hold.REQUEST
        codec.receive(side, chunk)
    list(codec.steps())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 << 20
    assert codec.backlog(side) < 2 << 20
