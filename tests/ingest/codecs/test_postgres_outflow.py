"""The upstream's bytes as pieces: whole runs, long messages, no copies that keep large reads alive."""

import pytest

from ingest.codecs.base import Hold, Side
from ingest.codecs.postgres import Limits, PostgresCodec
from tests.ingest.codecs import postgres_messages as m
from tests.ingest.codecs.postgres_replay import play, split

AGENT, UPSTREAM = Side.AGENT, Side.UPSTREAM


def test_a_read_of_many_rows_is_one_piece() -> None:
    rows = m.row(b"value") * 2000
    played = play([(AGENT, m.query("select 1")), (UPSTREAM, m.columns("a")), (UPSTREAM, rows)])
    assert [len(p.data) for p in played.pieces if p.to is AGENT] == [len(m.columns("a")), len(rows)]


def test_a_message_split_between_reads_waits_for_its_rest() -> None:
    played = play([(AGENT, m.query("select 1")), (UPSTREAM, m.row(b"abc")[:-1])])
    assert not played.sent[AGENT]


@pytest.mark.parametrize("size", [1, 70, 300, 100_000])
def test_a_long_error_passes_whole_with_its_start_recorded(size: int) -> None:
    data = m.error("22000", "y" * 3000) + m.ready()
    codec = PostgresCodec(limits=Limits(max_message_bytes=200))
    played = play([(AGENT, m.query("select 1")), *split([(UPSTREAM, data)], size)], codec)
    (action,) = played.completed
    assert bytes(played.sent[AGENT]) == data
    assert action.status == "22000" and set(action.error) == {"y"}
    assert action.response_bytes == len(data)


@pytest.mark.parametrize("size", [70, 300, 100_000])
def test_a_long_error_that_is_an_end_mark_is_held_to_its_last_byte(size: int) -> None:
    data = m.error("22000", "y" * 3000)
    codec = PostgresCodec(limits=Limits(max_message_bytes=200))
    request = m.parse("a") + m.bind() + m.execute() + m.FLUSH
    played = play([(AGENT, request), (UPSTREAM, m.PARSED + m.BOUND), *split([(UPSTREAM, data)], size)], codec)
    ends = [p for p in played.pieces if p.to is AGENT and bytes(p.data)[:1] in b"Ey"]
    assert ends and all(p.hold is Hold.OUTCOME for p in ends)
    assert bytes(played.sent[AGENT]).endswith(data)
    assert played.completed[0].response_bytes == len(m.PARSED + m.BOUND + data)


def test_a_long_notification_is_cut_in_the_record_only() -> None:
    body = (1).to_bytes(4) + b"news\0" + b"p" * 3000 + b"\0"
    codec = PostgresCodec(limits=Limits(max_message_bytes=200))
    played = play([(UPSTREAM, m.message("A", body))], codec)
    assert bytes(played.sent[AGENT]) == m.message("A", body)
    assert played.notes[0].attributes["channel"] == "news"
