"""What the agent's messages start: actions, their texts and parameters, and names that cannot be made to lie."""

from ingest.codecs.base import Action, Hold, Side
from ingest.codecs.postgres import Limits, PostgresCodec
from tests.ingest.codecs.postgres_messages import (
    BOUND,
    CLOSED,
    COPY_DONE,
    FLUSH,
    NO_DATA,
    PARSED,
    SYNC,
    bind,
    close,
    complete,
    copy_begins,
    copy_data,
    describe,
    error,
    execute,
    message,
    parse,
    query,
    ready,
)
from tests.ingest.codecs.postgres_replay import Played, load, play, run

AGENT, UPSTREAM = Side.AGENT, Side.UPSTREAM


def feed(codec: PostgresCodec, played: Played, side: Side, data: bytes) -> None:
    codec.receive(side, data)
    run(codec, played)


def test_a_query_is_one_action_and_one_piece() -> None:
    played = play([(AGENT, query("select 1; select 2"))])
    assert [a.statement for a in played.actions] == ["select 1; select 2"]
    (piece,) = played.pieces
    assert (piece.to, piece.hold, piece.action) == (UPSTREAM, Hold.REQUEST, played.actions[0])


def test_parse_bind_describe_execute_sync_is_one_action_and_one_piece() -> None:
    request = parse("select $1", oids=(23,)) + bind(values=(b"\0\0\0\7",), formats=(1,)) + describe() + execute() + SYNC
    played = play([(AGENT, request)])
    (action,) = played.actions
    assert (action.kind, action.statement, action.parameters) == ("execute", "select $1", ["7"])
    assert action.request_bytes == len(request) - len(SYNC)
    assert [(p.hold, bytes(p.data)) for p in played.pieces] == [(Hold.REQUEST, request)]


def test_a_parse_that_is_not_executed_is_an_action_of_its_own() -> None:
    played = play([(AGENT, parse("select 1", "s1") + describe("s1", "S") + SYNC)])
    (action,) = played.actions
    assert (action.kind, action.statement) == ("parse", "select 1")
    assert action.attributes == {"statement_name": "s1"}
    again = play([(AGENT, parse("a", "s1") + parse("b", "s2") + FLUSH)])
    assert [a.statement for a in again.actions] == ["a", "b"]


def test_prepared_executions_pay_one_record_each() -> None:
    played = play(load("pgbench_prepared"))
    kinds = [a.kind for a in played.actions]
    assert kinds.count("parse") == 1
    assert kinds.count("execute") == 4
    assert {a.statement for a in played.actions if a.kind == "execute"} == {"select $1 as n;"}


def test_a_segment_waits_for_its_end() -> None:
    codec = PostgresCodec()
    played = play([(AGENT, parse("select 1")), (AGENT, bind())], codec)
    assert not played.pieces and not played.actions
    feed(codec, played, AGENT, execute() + SYNC)
    assert bytes(played.sent[UPSTREAM]) == parse("select 1") + bind() + execute() + SYNC
    assert all(piece.action is played.actions[0] for piece in played.pieces)


def test_a_pipeline_is_one_action_per_execute() -> None:
    one = bind("s") + execute()
    played = play([(AGENT, parse("select 1", "s") + one + one + one + SYNC)])
    assert [(a.kind, a.statement) for a in played.actions] == [("execute", "select 1")] * 3


def test_parameters_of_every_format() -> None:
    values = (b"text", None, b"\1", b"\x00\x01\x02")
    request = parse("x", oids=(25, 25, 16, 600)) + bind(values=values, formats=(0, 0, 1, 1)) + execute() + SYNC
    (action,) = play([(AGENT, request)]).actions
    assert action.parameters == ["text", None, "t", "\\x000102"]
    assert action.attributes == {"undecoded_parameters": "4"}


def test_parameter_types_come_from_the_description_when_parse_gave_none() -> None:
    codec = PostgresCodec()
    played = play([(AGENT, parse("select $1", "s") + describe("s", "S") + SYNC)], codec)
    feed(codec, played, UPSTREAM, PARSED + message("t", b"\0\1\0\0\0\x17") + NO_DATA + ready())
    feed(codec, played, AGENT, bind("s", values=(b"\0\0\0\x2a",), formats=(1,)) + execute() + SYNC)
    assert played.actions[-1].parameters == ["42"]


def test_a_large_parameter_is_cut_and_says_so() -> None:
    limits = Limits(max_parameter_bytes=100)
    request = parse("x") + bind(values=(b"a", b"b" * 500)) + execute() + SYNC
    (action,) = play([(AGENT, request)], PostgresCodec(limits=limits)).actions
    assert action.parameters == ["a"]
    assert action.is_truncated and action.attributes["parameters_cut"] == "true"


def test_a_long_statement_is_kept_up_to_the_limit_and_passes_whole() -> None:
    request = query("select '" + "x" * 5000 + "'")
    for size in (len(request), 700, 1):
        codec = PostgresCodec(limits=Limits(max_message_bytes=1000, max_statement_bytes=100))
        played = play([(AGENT, request[i : i + size]) for i in range(0, len(request), size)], codec)
        (action,) = played.actions
        assert action.statement == "select '" + "x" * 92
        assert action.is_truncated and action.attributes["statement_bytes"] == "5009"
        assert action.request_bytes == len(request)
        assert bytes(played.sent[UPSTREAM]) == request


def test_a_long_bind_or_parse_streams_and_the_action_follows() -> None:
    big = bind("s", values=(b"y" * 5000,))
    request = parse("insert into t values ($1)", "s") + big + execute() + SYNC
    for size in (len(request), 700, 1):
        codec = PostgresCodec(limits=Limits(max_message_bytes=1000))
        played = play([(AGENT, request[i : i + size]) for i in range(0, len(request), size)], codec)
        assert [(a.kind, a.statement) for a in played.actions] == [
            ("parse", "insert into t values ($1)"),
            ("execute", "insert into t values ($1)"),
        ]
        assert played.actions[1].is_truncated
        assert bytes(played.sent[UPSTREAM]) == request
    long_parse = parse("select " + "1," * 3000 + "1") + bind() + execute() + SYNC
    played = play([(AGENT, long_parse)], PostgresCodec(limits=Limits(max_message_bytes=1000)))
    assert bytes(played.sent[UPSTREAM]) == long_parse
    assert [a.kind for a in played.actions] == ["parse", "execute"]
    assert all(a.is_truncated for a in played.actions)


def test_a_portal_that_no_bind_has_made_is_said_to_be_unknown() -> None:
    (action,) = play([(AGENT, execute("c1") + SYNC)]).actions
    assert action.statement == ""
    assert action.attributes["statement_source"].startswith("unknown")


def test_a_second_parse_of_a_name_cannot_hide_the_first() -> None:
    """The second fails upstream, so the first is what runs: the third group waits until that is known."""
    codec = PostgresCodec()
    groups = [parse("drop table t", "s") + SYNC, parse("select 1", "s") + SYNC, bind("s") + execute() + SYNC]
    played = play([(AGENT, b"".join(groups))], codec)
    assert bytes(played.sent[UPSTREAM]) == groups[0] + groups[1]
    feed(codec, played, UPSTREAM, PARSED + ready() + error("42P05", "already exists") + ready())
    assert bytes(played.sent[UPSTREAM]) == b"".join(groups)
    assert played.actions[-1].statement == "drop table t"


def test_a_skipped_close_leaves_the_name_as_it_was() -> None:
    codec = PostgresCodec()
    played = play([(AGENT, parse("drop table t", "s") + SYNC)], codec)
    feed(codec, played, UPSTREAM, PARSED + ready())
    feed(
        codec,
        played,
        AGENT,
        bind("none") + close("s") + SYNC + parse("select 1", "s") + SYNC + bind("s") + execute() + SYNC,
    )
    feed(codec, played, UPSTREAM, error("26000", "no such statement") + ready() + error("42P05", "exists") + ready())
    assert played.actions[-1].statement == "drop table t"


def test_a_closed_name_is_taken_again() -> None:
    codec = PostgresCodec()
    played = play([(AGENT, parse("a", "s") + SYNC)], codec)
    feed(codec, played, UPSTREAM, PARSED + ready())
    feed(codec, played, AGENT, close("s") + parse("b", "s") + bind("s") + execute() + SYNC)
    feed(codec, played, UPSTREAM, CLOSED + PARSED + BOUND + complete("SELECT 0") + ready())
    feed(codec, played, AGENT, bind("s") + execute() + SYNC)
    assert [a.statement for a in played.actions] == ["a", "b", "b"]


def test_names_that_sql_changes_are_uncertain_or_gone() -> None:
    codec = PostgresCodec()
    played = play([(AGENT, parse("a", "s") + parse("b", "t") + SYNC)], codec)
    feed(codec, played, UPSTREAM, PARSED + PARSED + ready())
    feed(codec, played, AGENT, query("deallocate s"))
    feed(codec, played, UPSTREAM, complete("DEALLOCATE") + ready())
    feed(codec, played, AGENT, bind("s") + execute() + bind("t") + execute() + SYNC)
    assert played.actions[-2].statement == ""
    assert "statement_source" not in played.actions[-1].attributes
    feed(codec, played, UPSTREAM, error("26000", "gone") + ready())
    feed(codec, played, AGENT, query("do $$ begin execute 'deallocate t'; end $$; prepare t as select 2"))
    feed(codec, played, UPSTREAM, complete("DO") + complete("PREPARE") + ready())
    feed(codec, played, AGENT, bind("t") + execute() + SYNC)
    assert played.actions[-1].attributes["statement_source"].startswith("uncertain")


def test_too_many_names_are_dropped_and_noted() -> None:
    codec = PostgresCodec(limits=Limits(max_names=3))
    played = play([(AGENT, b"".join(parse("x", f"s{i}") for i in range(5)) + SYNC)], codec)
    assert [n.name for n in played.notes] == ["limit_reached"] * 2
    feed(codec, played, UPSTREAM, PARSED * 5 + ready())
    feed(codec, played, AGENT, bind("s4") + execute() + SYNC)
    assert played.actions[-1].attributes["statement_source"].startswith("unknown")


def test_more_answers_expected_than_the_limit_make_the_agent_wait() -> None:
    codec = PostgresCodec(limits=Limits(max_in_flight=10))
    played = play([(AGENT, SYNC * 100)], codec)
    assert len(played.sent[UPSTREAM]) == 10 * len(SYNC)
    assert codec.backlog(AGENT) == 90 * len(SYNC)
    for _ in range(10):
        feed(codec, played, UPSTREAM, ready() * 10)
    assert len(played.sent[UPSTREAM]) == 100 * len(SYNC)


def test_copy_in_progresses_and_its_end_waits_for_the_whole() -> None:
    codec = PostgresCodec()
    played = play([(AGENT, query("copy t from stdin")), (UPSTREAM, copy_begins("G"))], codec)
    feed(codec, played, AGENT, copy_data(b"1\n") + copy_data(b"2\n") + COPY_DONE)
    action: Action = played.actions[0]
    assert (action.kind, action.is_bounded) == ("copy_in", False)
    assert bytes(played.progress[AGENT]) == b"1\n2\n"
    assert [(p.hold, bytes(p.data)) for p in played.pieces if p.to is UPSTREAM][1:] == [
        (Hold.REQUEST, copy_data(b"1\n") + copy_data(b"2\n")),
        (Hold.OUTCOME, COPY_DONE),
    ]
    feed(codec, played, UPSTREAM, complete("COPY 2") + ready())
    assert action.attributes["rows_affected"] == "2"


def test_copy_data_sent_before_the_upstream_has_agreed_waits() -> None:
    codec = PostgresCodec()
    request = query("copy t from stdin")
    played = play([(AGENT, request + copy_data(b"1\n") + COPY_DONE)], codec)
    assert bytes(played.sent[UPSTREAM]) == request
    feed(codec, played, UPSTREAM, copy_begins("G"))
    assert bytes(played.progress[AGENT]) == b"1\n"
    assert bytes(played.sent[UPSTREAM]) == request + copy_data(b"1\n") + COPY_DONE


def test_copy_data_after_a_failed_copy_passes_without_an_action() -> None:
    codec = PostgresCodec()
    played = play([(AGENT, query("copy t from stdin")), (UPSTREAM, copy_begins("G") + error() + ready())], codec)
    feed(codec, played, AGENT, copy_data(b"late") + COPY_DONE)
    assert bytes(played.sent[UPSTREAM]).endswith(copy_data(b"late") + COPY_DONE)
    assert not played.progress[AGENT]


def test_a_long_copy_message_streams() -> None:
    codec = PostgresCodec(limits=Limits(max_message_bytes=1000))
    played = play([(AGENT, query("copy t from stdin")), (UPSTREAM, copy_begins("G"))], codec)
    data = copy_data(b"z" * 5000) + copy_data(b"end") + COPY_DONE
    for i in range(0, len(data), 600):
        feed(codec, played, AGENT, data[i : i + 600])
    assert bytes(played.progress[AGENT]) == b"z" * 5000 + b"end"
    assert bytes(played.sent[UPSTREAM]).endswith(data)
    assert [p.hold for p in played.pieces if p.to is UPSTREAM][-1] is Hold.OUTCOME


def test_a_function_call_is_an_action() -> None:
    body = (1598).to_bytes(4) + b"\0\1\0\0" + b"\0\1" + b"\0\0\0\2ab" + b"\0\0"
    (action,) = play([(AGENT, message("F", body))]).actions
    assert (action.kind, action.statement, action.parameters) == ("function_call", "function 1598", ["ab"])


def test_an_agent_that_sends_on_and_on_while_it_must_wait_is_cut_off() -> None:
    codec = PostgresCodec(limits=Limits(max_backlog_bytes=5000))
    played = play([(AGENT, query("select pg_sleep(99)"))] + [(AGENT, copy_data(b"x" * 995))] * 10, codec)
    assert played.closed == ["protocol_violation"]
    assert sum(o.size for o in played.opaque) >= 5000
