"""Refusals: the agent sees an error in its place, the upstream stays in step."""

import pytest

from ingest.codecs.base import Action, Hold, Side
from ingest.codecs.postgres import Limits, PostgresCodec
from ingest.codecs.postgres_wire import FAILING_PARSE, FAILING_QUERY, error_response, ready_for_query
from tests.ingest.codecs.postgres_messages import (
    BOUND,
    PARSED,
    SYNC,
    bind,
    close,
    complete,
    describe,
    error,
    execute,
    message,
    parse,
    query,
    ready,
    row,
)
from tests.ingest.codecs.postgres_replay import Played, run

AGENT, UPSTREAM = Side.AGENT, Side.UPSTREAM
REFUSAL = error_response("ERROR", "42501", "refused by policy")


class Guarded:
    """A codec whose actions are refused when their statement says drop."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.codec = PostgresCodec(limits=limits)
        self.played = Played()

    def __call__(self, side: Side, data: bytes) -> None:
        self.codec.receive(side, data)
        run(self.codec, self.played, self._decide)

    def _decide(self, action: Action) -> None:
        if "drop" in action.statement:
            self.codec.refuse(action, "42501", "refused by policy")

    def agent(self) -> bytes:
        return bytes(self.played.sent[AGENT])

    def upstream(self) -> bytes:
        return bytes(self.played.sent[UPSTREAM])


def test_an_idle_refused_query_is_answered_at_once() -> None:
    talk = Guarded()
    talk(AGENT, query("drop table t"))
    assert talk.upstream() == b""
    assert talk.agent() == REFUSAL + ready_for_query(ord("I"))
    assert talk.played.completed[0].status == "42501"
    assert talk.played.pieces[-1].hold is Hold.OUTCOME
    talk(AGENT, query("select 1"))
    assert talk.upstream() == query("select 1")


def test_a_refused_query_in_a_transaction_fails_it_on_both_sides() -> None:
    talk = Guarded()
    talk(AGENT, query("begin"))
    talk(UPSTREAM, complete("BEGIN") + ready("T"))
    talk(AGENT, query("drop table t"))
    assert talk.upstream() == query("begin") + FAILING_QUERY
    talk(UPSTREAM, error("42601", "syntax error") + ready("E"))
    assert talk.agent().endswith(REFUSAL + ready("E"))
    assert (talk.played.completed[1].status, talk.played.completed[1].error) == ("42501", "refused by policy")
    assert "error_position" not in talk.played.completed[1].attributes
    assert talk.codec.transaction_status == ord("E")


def test_a_refused_query_behind_another_is_answered_in_its_turn() -> None:
    talk = Guarded()
    talk(AGENT, query("select 1") + query("drop table t") + query("select 2"))
    assert talk.upstream() == query("select 1") + FAILING_QUERY + query("select 2")
    talk(UPSTREAM, complete("SELECT 1") + ready() + error("42601") + ready() + complete("SELECT 1") + ready())
    assert talk.agent() == complete("SELECT 1") + ready() + REFUSAL + ready() + complete("SELECT 1") + ready()
    assert [a.status for a in talk.played.completed] == ["00000", "42501", "00000"]


@pytest.mark.parametrize("size", [1, 5, 1000])
def test_a_refused_execute_never_shows_its_parse_to_the_upstream(size: int) -> None:
    talk = Guarded()
    request = parse("drop table t") + bind() + describe() + execute() + SYNC
    for i in range(0, len(request), size):
        talk(AGENT, request[i : i + size])
    assert talk.upstream() == FAILING_PARSE + SYNC
    talk(UPSTREAM, error("42601") + ready())
    assert talk.agent() == REFUSAL + ready()
    assert [a.status for a in talk.played.completed] == ["42501"]


def test_a_refused_execute_in_a_pipeline_skips_the_rest_and_rolls_back_what_came_before() -> None:
    """The upstream really fails, so the implicit transaction of the first Execute is rolled back there too."""
    talk = Guarded()
    first = parse("insert into t values (1)") + bind() + execute()
    talk(AGENT, first + parse("drop table t") + bind() + execute() + parse("select 3") + bind() + execute() + SYNC)
    assert talk.upstream() == first + FAILING_PARSE + SYNC
    talk(UPSTREAM, PARSED + BOUND + complete("INSERT 0 1") + error("42601") + ready())
    assert talk.agent() == PARSED + BOUND + complete("INSERT 0 1") + REFUSAL + ready()
    assert [a.statement for a in talk.played.actions] == ["insert into t values (1)", "drop table t"]
    (note,) = talk.played.notes
    assert (note.name, note.attributes["executes"], note.attributes["messages"]) == ("messages_discarded", "1", "3")
    talk(AGENT, query("select 1"))
    assert talk.upstream().endswith(query("select 1"))


def test_a_refused_parse_is_not_forwarded() -> None:
    talk = Guarded()
    talk(AGENT, parse("drop table t", "s") + describe("s", "S") + SYNC)
    assert talk.upstream() == FAILING_PARSE + SYNC
    talk(UPSTREAM, error("42601") + ready())
    assert talk.agent() == REFUSAL + ready()
    talk(AGENT, bind("s") + execute() + SYNC)
    assert talk.played.actions[-1].statement == ""


def test_a_close_dropped_with_a_refused_segment_keeps_the_name() -> None:
    talk = Guarded()
    talk(AGENT, parse("select 1", "s") + SYNC)
    talk(UPSTREAM, PARSED + ready())
    talk(AGENT, close("s") + parse("drop table t") + bind() + execute() + SYNC)
    talk(UPSTREAM, error("42601") + ready())
    talk(AGENT, bind("s") + execute() + SYNC)
    assert talk.played.actions[-1].statement == "select 1"


@pytest.mark.parametrize("size", [100, 4000, 100_000])
def test_the_rest_of_a_long_refused_query_is_dropped(size: int) -> None:
    talk = Guarded(Limits(max_message_bytes=1000))
    data = query("drop table t /*" + "x" * 5000 + "*/") + query("select 1")
    for i in range(0, len(data), size):
        talk(AGENT, data[i : i + size])
    assert talk.upstream() == query("select 1")
    assert talk.agent() == REFUSAL + ready()


@pytest.mark.parametrize("size", [100, 4000, 100_000])
def test_the_rest_of_a_long_refused_parse_is_dropped(size: int) -> None:
    talk = Guarded(Limits(max_message_bytes=1000))
    data = parse("drop table t /*" + "x" * 5000 + "*/") + bind() + execute() + SYNC
    for i in range(0, len(data), size):
        talk(AGENT, data[i : i + size])
    assert talk.upstream() == FAILING_PARSE + SYNC


def test_a_refused_function_call() -> None:
    codec = PostgresCodec()
    played = Played()
    codec.receive(AGENT, message("F", (1).to_bytes(4) + b"\0\0\0\0\0\0"))
    run(codec, played, lambda action: codec.refuse(action, "42501", "refused by policy"))
    assert bytes(played.sent[AGENT]) == REFUSAL + ready()
    assert not played.sent[UPSTREAM]


def test_a_refused_execute_of_a_statement_prepared_before() -> None:
    codec = PostgresCodec()
    played = Played()

    def feed(side: Side, data: bytes, is_refused: bool) -> None:
        codec.receive(side, data)
        run(codec, played, lambda action: codec.refuse(action, "42501", "refused by policy") if is_refused else None)

    feed(AGENT, parse("select 1", "s") + SYNC, False)
    feed(UPSTREAM, PARSED + ready(), False)
    feed(AGENT, bind("s") + execute() + SYNC, True)
    feed(UPSTREAM, error("42601") + ready(), False)
    assert bytes(played.sent[AGENT]).endswith(REFUSAL + ready())
    feed(AGENT, bind("s") + execute() + SYNC, False)
    feed(UPSTREAM, BOUND + row(b"1") + complete("SELECT 1") + ready(), False)
    assert [a.status for a in played.completed] == ["00000", "42501", "00000"]
