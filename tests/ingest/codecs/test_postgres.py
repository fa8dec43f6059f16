import pytest

from ingest.codecs.base import Side
from tests.ingest.codecs.postgres_replay import CAPTURES, facts, load, play, split

NAMES = sorted(path.stem for path in CAPTURES.glob("*.jsonl"))


@pytest.mark.parametrize("name", NAMES)
def test_a_recorded_conversation_passes_unchanged(name: str) -> None:
    reads = load(name)
    played = play(reads)
    assert not played.opaque
    for to, source in ((Side.UPSTREAM, Side.AGENT), (Side.AGENT, Side.UPSTREAM)):
        assert bytes(played.sent[to]) == b"".join(data for side, data in reads if side is source)
    assert played.closed


@pytest.mark.parametrize("name", NAMES)
def test_reads_of_any_size_give_the_same_record(name: str) -> None:
    reads = load(name)
    whole = facts(play(reads))
    for size in (1, 3, 7, 64):
        assert facts(play(split(reads, size))) == whole
