"""A stream never runs further past its last durable record than the limit, and keeps no more than its budget."""

import asyncio
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from ingest.codecs.base import Side
from ingest.session import Recorder
from ingest.stream import SEGMENTS, Stream, StreamRecorder
from schemas.events import Event, SessionEvent
from schemas.runtime import Home
from tests.ingest.test_session import open_session
from tests.masking.helpers import masker
from tests.processors.test_borders import derived
from tests.support.proxies import read_trails

LIMIT = 1 << 20


@given(st.lists(st.integers(1, 1 << 16), min_size=1, max_size=60))
def test_the_run_past_the_last_durable_record_is_bounded(sizes: list[int]) -> None:
    stream = Stream("action", Side.AGENT, 1, 1, 1000)
    covered = {1: 0}  # ticket -> bytes recorded by then
    kept = 0
    for size in sizes:
        stream.take(bytes(size))
        # a piece may leave once `floor` is durable; at worst nothing later is
        assert stream.total - covered[stream.floor] <= LIMIT
        if stream.unrecorded >= LIMIT // SEGMENTS:
            kept += len(stream.kept)
            ticket = stream.latest + 1
            covered[ticket] = stream.total
            stream.recorded(ticket)
    assert kept + len(stream.kept) == min(1000, sum(sizes))


SECRETS = ("ghp" + "_16C7e42F292c6912E7710c838347Ae178B4a", "4111 1111 1111 1111", "bob.smith@example.com")
FILLER = b"plain words of a report without anything in it " * 40


async def play(recorder: Recorder, home: Home, name: str, chunks: dict[str, list[bytes]]) -> list[Event]:
    """Record streams, each by its chunks, and read what came of it."""
    session = open_session(recorder, name)
    session.max_unrecorded_bytes = 4096
    streams = StreamRecorder(session, lambda: None)
    made = {id_: Stream(id_, Side.UPSTREAM, 0, 0, 1 << 20) for id_ in chunks}
    for number in range(max(map(len, chunks.values()))):
        for id_, pieces in chunks.items():
            if number < len(pieces):
                streams.take(made[id_], pieces[number])
    streams.close()
    await session.wait(session.close("done"))
    (trail,) = read_trails(home, name)
    return trail.of("data.received")


async def test_no_piece_ends_within_a_secret_wherever_it_is_cut(recorder: Recorder, home: Home) -> None:
    chunks = {
        f"{number}.{cut}": [FILLER + secret[:cut].encode(), secret[cut:].encode() + b" and more\n" + FILLER]
        for number, secret in enumerate(SECRETS)
        for cut in range(len(secret) + 1)
    }
    events = await play(recorder, home, "cuts", chunks)
    for id_, pieces in chunks.items():
        own = [event for event in events if event.action_id == id_]
        assert len(own) >= 2
        assert b"".join(event.payload for event in own) == b"".join(pieces)
        assert all(event.bytes == event.payload_bytes == len(event.payload) for event in own)
        assert not any(event.is_truncated for event in own)
        secret = SECRETS[int(id_.partition(".")[0])]
        alone = [derived([SessionEvent(0, replace(event, seq=1))]) for event in own]  # each in a batch of its own
        shown = b"".join(item.event.payload for batch in alone for item in batch.events).decode()
        assert shown == masker().mask_text(b"".join(pieces).decode()).text, id_
        assert secret not in shown


async def test_what_is_held_back_is_recorded_when_nothing_follows(recorder: Recorder, home: Home) -> None:
    session = open_session(recorder, "pauses")
    streams = StreamRecorder(session, lambda: None)
    stream = Stream("a", Side.AGENT, 0, 0, 1 << 20)
    streams.take(stream, b"a line\nand half of an")
    async with asyncio.timeout(20):
        while stream.unrecorded:
            await asyncio.sleep(0.01)
    assert stream.latest == session.last_ticket and not stream.is_held
    await session.wait(session.close("done"))
    (trail,) = read_trails(home, "pauses")
    assert [event.payload for event in trail.of("data.sent")] == [b"a line\n", b"and half of an"]
    assert [event.bytes for event in trail.of("data.sent")] == [7, 14]


async def test_beyond_the_budget_nothing_is_held_back(recorder: Recorder, home: Home) -> None:
    session = open_session(recorder, "budget")
    session.max_unrecorded_bytes = 4096
    streams = StreamRecorder(session, lambda: None)
    stream = Stream("a", Side.AGENT, 0, 0, 100)
    streams.take(stream, b"word " * 400)
    assert stream.unrecorded == 0
    await session.wait(session.close("done"))
    (trail,) = read_trails(home, "budget")
    (event,) = trail.of("data.sent")
    assert (event.bytes, event.payload_bytes, len(event.payload), event.is_truncated) == (2000, 2000, 100, True)
