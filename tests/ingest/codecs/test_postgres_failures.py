"""Errors: which action fails, which are skipped, and what ends."""

from ingest.codecs.base import Hold, Side
from ingest.codecs.postgres import PostgresCodec
from ingest.codecs.postgres_state import NOT_EXECUTED
from tests.ingest.codecs.postgres_messages import (
    BOUND,
    FLUSH,
    PARSED,
    SYNC,
    bind,
    complete,
    copy_begins,
    copy_data,
    error,
    execute,
    parse,
    query,
    ready,
)
from tests.ingest.codecs.postgres_replay import Played, load, play, run

AGENT, UPSTREAM = Side.AGENT, Side.UPSTREAM
ONE = parse("select 1/0") + bind() + execute()


def outcomes(played: Played) -> list[tuple[str, str]]:
    return [(action.status, action.error) for action in played.completed]


def test_a_query_that_fails() -> None:
    played = play([(AGENT, query("select 1/0")), (UPSTREAM, error() + ready())])
    assert outcomes(played) == [("22012", "division by zero")]
    assert [p.hold for p in played.pieces if p.to is AGENT] == [Hold.REQUEST, Hold.OUTCOME]


def test_an_error_skips_the_rest_of_a_pipeline_up_to_its_sync() -> None:
    played = play(
        [
            (AGENT, ONE + ONE + SYNC + ONE + SYNC),
            (UPSTREAM, PARSED + BOUND + error() + ready() + PARSED + BOUND + complete("SELECT 1") + ready()),
        ]
    )
    assert outcomes(played) == [("22012", "division by zero"), ("", NOT_EXECUTED), ("00000", "")]


def test_an_error_of_a_parse_is_that_of_its_execute() -> None:
    played = play([(AGENT, ONE + SYNC), (UPSTREAM, error("42601", "syntax error") + ready())])
    assert outcomes(played) == [("42601", "syntax error")]


def test_after_flush_the_error_is_the_end_mark() -> None:
    codec = PostgresCodec()
    played = play([(AGENT, ONE + FLUSH), (UPSTREAM, PARSED + BOUND + error())], codec)
    assert [p.hold for p in played.pieces if p.to is AGENT] == [Hold.REQUEST, Hold.OUTCOME]
    assert bytes(played.sent[AGENT]) == PARSED + BOUND + error()
    codec.receive(AGENT, ONE)
    run(codec, played)
    assert outcomes(played)[-1] == ("", NOT_EXECUTED)
    codec.receive(AGENT, SYNC + ONE + SYNC)
    run(codec, played)
    codec.receive(UPSTREAM, ready())
    run(codec, played)
    codec.receive(UPSTREAM, PARSED + BOUND + complete("SELECT 1") + ready())
    run(codec, played)
    assert outcomes(played)[-1] == ("00000", "")


def test_a_commit_that_fails_at_sync_is_the_outcome_of_the_last_execute() -> None:
    played = play(load("deferred_constraint"))
    assert played.completed[-1].status == "23505"
    assert played.completed[-1].attributes["tags"] == "INSERT 0 1"


def test_an_error_during_copy() -> None:
    played = play(
        [
            (AGENT, query("copy t from stdin")),
            (UPSTREAM, copy_begins("G")),
            (AGENT, copy_data(b"x\n")),
            (UPSTREAM, error("22P02", "invalid input") + ready()),
        ]
    )
    assert outcomes(played) == [("22P02", "invalid input")]
    assert played.completed[0].kind == "copy_in"


def test_a_fatal_error_ends_all_that_is_in_flight() -> None:
    played = play([(AGENT, query("select 1") + query("select 2")), (UPSTREAM, error("57P01", "bye", "FATAL"))])
    assert [status for status, _ in outcomes(played)] == ["57P01", "08006"]
    assert played.pieces[-1].hold is Hold.OUTCOME
    assert played.closed == ["the upstream ended the session: 57P01"]


def test_an_error_without_an_action_is_noted() -> None:
    played = play([(AGENT, bind("none") + SYNC), (UPSTREAM, error("26000", "no such statement") + ready())])
    assert [(n.name, n.attributes["sqlstate"]) for n in played.notes] == [("error", "26000")]
    assert not played.completed


def test_details_of_an_error_are_kept() -> None:
    played = play(load("psycopg_sync"))
    (failed,) = [action for action in played.completed if action.status == "23505"]
    assert failed.attributes["error_constraint"] == "p_pkey"
    assert "already exists" in failed.attributes["error_detail"]


def test_an_error_without_its_sqlstate_is_still_an_error() -> None:
    played = play([(AGENT, query("select 1")), (UPSTREAM, error("", "odd") + ready())])
    assert outcomes(played) == [("XX000", "odd")]
