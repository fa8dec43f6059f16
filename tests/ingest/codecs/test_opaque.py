"""The codec for any protocol: bytes in, the same bytes out, one action."""

from hypothesis import given
from hypothesis import strategies as st

from ingest.codecs.base import Closed, Completed, Piece, Progressed, Requested, Side, Step
from ingest.codecs.opaque import OpaqueCodec


def take_all(codec: OpaqueCodec) -> list[Step]:
    steps: list[Step] = []
    while taken := codec.take_steps():
        steps += taken
    return steps


CHUNKS = st.lists(st.tuples(st.sampled_from(Side), st.binary(min_size=1, max_size=50)), max_size=10)


@given(CHUNKS)
def test_every_byte_leaves_once_in_order(chunks: list[tuple[Side, bytes]]) -> None:
    codec = OpaqueCodec("TUNNEL x:1")
    steps: list[Step] = []
    for side, data in chunks:
        codec.receive(side, data)
        steps += take_all(codec)
    for side in Side:
        codec.receive_eof(side)
    steps += take_all(codec)
    for side, other in ((Side.AGENT, Side.UPSTREAM), (Side.UPSTREAM, Side.AGENT)):
        sent = b"".join(data for from_, data in chunks if from_ is side)
        assert b"".join(bytes(step.data) for step in steps if isinstance(step, Piece) and step.to is other) == sent
        assert b"".join(s.data for s in steps if isinstance(s, Progressed) and s.source is side) == sent
    assert sum(isinstance(step, Requested) for step in steps) == bool(chunks)
    assert sum(isinstance(step, Completed) for step in steps) == bool(chunks)


def test_a_refused_tunnel_passes_nothing() -> None:
    codec = OpaqueCodec("TUNNEL x:1")
    codec.receive(Side.AGENT, b"data")
    (first,) = codec.take_steps()
    assert isinstance(first, Requested)
    codec.refuse(first.action, "42501", "refused")
    assert [type(step) for step in take_all(codec)] == [Completed, Closed]
    codec.receive(Side.AGENT, b"more")
    assert take_all(codec) == []
