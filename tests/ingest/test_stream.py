"""A stream never runs further past its last durable record than the limit, and keeps no more than its budget."""

from hypothesis import given
from hypothesis import strategies as st

from ingest.codecs.base import Side
from ingest.stream import SEGMENTS, Stream

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
