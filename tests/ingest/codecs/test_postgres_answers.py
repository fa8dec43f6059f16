"""What the upstream's messages answer, and which record each piece waits for."""

from ingest.codecs.base import Hold, Side
from ingest.codecs.postgres import PostgresCodec
from tests.ingest.codecs.postgres_messages import (
    BOUND,
    COPY_DONE,
    EMPTY,
    FLUSH,
    PARSED,
    SUSPENDED,
    SYNC,
    bind,
    columns,
    complete,
    copy_begins,
    copy_data,
    describe,
    error,
    execute,
    message,
    notice,
    parse,
    query,
    ready,
    row,
)
from tests.ingest.codecs.postgres_replay import Played, load, play, run

AGENT, UPSTREAM = Side.AGENT, Side.UPSTREAM


def holds(played: Played) -> list[tuple[Hold, bytes]]:
    """What goes to the agent, piece by piece."""
    return [(piece.hold, bytes(piece.data)) for piece in played.pieces if piece.to is AGENT]


def test_an_answer_waits_for_the_request_and_its_end_for_the_outcome() -> None:
    answer = columns("a") + row(b"1") + complete("SELECT 1")
    played = play([(AGENT, query("select 1")), (UPSTREAM, answer + ready())])
    assert holds(played) == [(Hold.REQUEST, answer), (Hold.OUTCOME, ready())]
    (action,) = played.completed
    assert (action.status, action.rows, action.columns, action.row_values) == ("00000", 1, ["a"], [["1"]])
    assert action.attributes == {"tags": "SELECT 1"}
    assert action.response_bytes == len(answer + ready())


def test_a_query_of_many_statements_is_one_action_with_all_tags() -> None:
    answer = columns("a") + row(b"1") + complete("SELECT 1") + complete("UPDATE 3") + complete("INSERT 0 2")
    answer += columns("b", "c") + row(b"2", None) + complete("SELECT 1")
    played = play([(AGENT, query("…")), (UPSTREAM, answer + ready())])
    (action,) = played.completed
    assert action.attributes["tags"] == "SELECT 1; UPDATE 3; INSERT 0 2; SELECT 1"
    assert action.attributes["rows_affected"] == "5"
    assert action.attributes["result_sets"] == ('[{"first_row":0,"columns":["a"]},{"first_row":1,"columns":["b","c"]}]')
    assert (action.rows, action.row_values) == (2, [["1"], ["2", None]])


def test_with_flush_the_end_of_each_execute_waits_for_its_outcome() -> None:
    codec = PostgresCodec()
    played = play([(AGENT, parse("select 1") + bind() + describe() + execute() + FLUSH)], codec)
    answer = PARSED + BOUND + columns("a") + row(b"1")
    codec.receive(UPSTREAM, answer + complete("SELECT 1"))
    run(codec, played)
    assert holds(played) == [(Hold.REQUEST, answer), (Hold.OUTCOME, complete("SELECT 1"))]
    codec.receive(AGENT, SYNC)
    run(codec, played)
    codec.receive(UPSTREAM, ready())
    run(codec, played)
    assert len(played.completed) == 1
    assert not played.opaque


def test_a_suspended_portal_ends_a_portion() -> None:
    codec = PostgresCodec()
    played = play([(AGENT, parse("select g") + bind(portal="p") + execute("p", 2) + FLUSH)], codec)
    codec.receive(UPSTREAM, PARSED + BOUND + row(b"1") + row(b"2") + SUSPENDED)
    run(codec, played)
    assert holds(played)[-1] == (Hold.OUTCOME, SUSPENDED)
    codec.receive(AGENT, execute("p", 2) + SYNC)
    run(codec, played)
    codec.receive(UPSTREAM, row(b"3") + complete("SELECT 1") + ready())
    run(codec, played)
    first, second = played.completed
    assert first.attributes == {"portal": "p", "max_rows": "2", "is_suspended": "true"}
    assert second.attributes["is_continued"] == "true"
    assert (first.rows, second.rows) == (2, 1)


def test_in_a_pipeline_the_last_end_mark_waits_for_the_last_outcome() -> None:
    one = bind() + execute()
    played = play(
        [
            (AGENT, parse("select 1") + one + one + SYNC),
            (UPSTREAM, PARSED + (BOUND + row(b"1") + complete("SELECT 1")) * 2 + ready()),
        ]
    )
    assert [hold for hold, _ in holds(played)] == [Hold.REQUEST, Hold.OUTCOME]
    assert played.pieces[-1].action is played.completed[-1]
    assert [action.rows for action in played.completed] == [1, 1]


def test_the_answer_to_a_describe_alone_waits_for_the_parse() -> None:
    played = play(
        [
            (AGENT, parse("select 1", "s") + describe("s", "S") + SYNC),
            (UPSTREAM, PARSED),
            (UPSTREAM, columns("a") + ready()),
        ]
    )
    assert [hold for hold, _ in holds(played)] == [Hold.REQUEST, Hold.REQUEST, Hold.OUTCOME]


def test_a_sync_alone_waits_for_nothing() -> None:
    assert holds(play([(AGENT, SYNC), (UPSTREAM, ready())])) == [(Hold.NONE, ready())]


def test_an_empty_query() -> None:
    played = play([(AGENT, query("")), (UPSTREAM, EMPTY + ready())])
    assert played.completed[0].status == "00000"


def test_copy_out_progresses_and_counts_its_rows() -> None:
    data = copy_data(b"1\ta\n") + copy_data(b"2\tb\n")
    played = play(
        [
            (AGENT, query("copy t to stdout")),
            (UPSTREAM, copy_begins("H") + data + COPY_DONE + complete("COPY 2") + ready()),
        ]
    )
    (action,) = played.completed
    assert bytes(played.progress[UPSTREAM]) == b"1\ta\n2\tb\n"
    assert (action.kind, action.is_bounded, action.rows) == ("copy_out", False, 2)
    assert [hold for hold, _ in holds(played)] == [Hold.REQUEST, Hold.REQUEST, Hold.OUTCOME]


def test_copy_both_ends_in_both_directions() -> None:
    played = play(load("replication"))
    action = next(a for a in played.completed if a.kind == "copy_both")
    assert action.statement.startswith("START_REPLICATION")
    assert played.progress[AGENT] and played.progress[UPSTREAM]
    assert [a.kind for a in played.completed][-1] == "query"


def test_syncs_sent_with_a_copy_are_ignored_as_the_upstream_does() -> None:
    codec = PostgresCodec()
    played = play([(AGENT, parse("copy t from stdin") + bind() + execute() + SYNC)], codec)
    codec.receive(UPSTREAM, PARSED + BOUND + copy_begins("G"))
    run(codec, played)
    codec.receive(AGENT, copy_data(b"1\n") + SYNC + COPY_DONE + SYNC)
    run(codec, played)
    codec.receive(UPSTREAM, complete("COPY 1") + ready())
    run(codec, played)
    codec.receive(AGENT, query("select 1"))
    run(codec, played)
    codec.receive(UPSTREAM, complete("SELECT 1") + ready())
    run(codec, played)
    assert not played.opaque
    assert [a.status for a in played.completed] == ["00000", "00000"]
    assert codec.in_flight == 0


def test_a_notification_waits_for_its_own_record() -> None:
    body = (77).to_bytes(4) + b"news\0payload\0"
    played = play([(UPSTREAM, message("A", body))])
    assert played.notes[0].attributes == {"channel": "news", "payload": "payload", "process_id": "77"}
    assert [(p.hold, p.action) for p in played.pieces] == [(Hold.OUTCOME, None)]


def test_notices_and_settings_are_noted() -> None:
    played = play(load("notices"))
    names = [note.name for note in played.notes]
    assert names.count("notice") == 2 and names.count("notification") == 2 and "parameter" in names
    assert "hello 1" in [note.attributes.get("message") for note in played.notes]


def test_a_name_that_the_server_cut_is_recorded_to_its_last_blank() -> None:
    given = b"worker with a secret ghp_" + b"q7ZkT4mZq8LwXn2RbVc7JyPq7ZkT4mZq8LwXn2R"
    for value, noted in ((given[:63], "worker with a secret"), (b"x" * 63, ""), (given[:62], given[:62].decode())):
        played = play([(UPSTREAM, message("S", b"application_name\0" + value + b"\0"))])
        assert played.notes[0].attributes == {"name": "application_name", "value": noted}
        assert value in b"".join(bytes(piece.data) for piece in played.pieces)


def test_what_the_server_says_of_a_name_it_cut_is_noted_without_the_name() -> None:
    text = b'SNOTICE\0VNOTICE\0C42622\0Midentifier "abc ghp_q7ZkT" will be truncated to "abc ghp_q7"\0\0'
    played = play([(UPSTREAM, message("N", text))])
    assert played.notes[0].attributes == {"severity": "NOTICE", "sqlstate": "42622"}


def test_text_follows_the_client_encoding() -> None:
    played = play(load("notices"))
    assert ["ä"] in [values for action in played.completed for values in action.row_values]


def test_an_answer_that_nobody_asked_for_is_opaque() -> None:
    for data in (ready(), row(b"1"), complete("SELECT 1"), PARSED, message("G", b"\0\0\0")):
        assert play([(UPSTREAM, data)]).opaque


def test_a_notice_in_an_answer_stays_in_its_place() -> None:
    data = notice("one") + complete("DO") + ready()
    played = play([(AGENT, query("do …")), (UPSTREAM, data)])
    assert bytes(played.sent[AGENT]) == data


def test_an_error_outside_any_request_is_noted() -> None:
    played = play([(UPSTREAM, error("57P01", "shutting down", "FATAL"))])
    assert played.notes[0].attributes["sqlstate"] == "57P01"
    assert played.closed == ["the upstream ended the session: 57P01"]
