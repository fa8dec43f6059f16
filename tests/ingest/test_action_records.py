"""How actions are written down: asked for, refused, completed, and bytes that were none."""

from ingest.action_records import ActionRecords
from ingest.codecs.base import Action, Noted, Opaque, Side
from ingest.gate import Ruling
from ingest.session import Recorder
from policy.model import ApprovalObligation
from schemas.runtime import Home
from tests.ingest.test_session import open_session
from tests.support.proxies import read_trails


def rule(verdict: str, *, is_write: bool = True, approval: ApprovalObligation | None = None) -> Ruling:
    why = {"policy.rule": "deletions"}
    return Ruling(verdict, "delete", ["t"], "shape", "", why, is_write=is_write, approval=approval)


async def test_an_action_is_told_from_its_request_to_its_outcome(recorder: Recorder, home: Home) -> None:
    session = open_session(recorder, "told", limits={"max_statement_bytes": 1024})
    records = ActionRecords(session)
    action = Action(f"DELETE FROM t WHERE a = $1 -- {'x' * 1024}", request_bytes=40)
    action.parameters = ["7"]
    live = records.requested(action, rule("allow"))
    action.status, action.rows, action.columns, action.row_values = "00000", 1, ["a"], [["7"]]
    assert live.is_write and records.is_cut(action)
    records.noted(Noted("notification", {"channel": "c"}))
    await session.wait(records.completed(action, live))
    (trail,) = read_trails(home, "told")
    (asked,), (done,), (said,) = (trail.of(kind) for kind in ("action.requested", "action.completed", "data.received"))
    assert (asked.statement, asked.is_truncated, asked.parameters) == (action.statement[:1024], True, ["7"])
    assert (asked.verdict, asked.operation, asked.objects) == ("allow", "delete", ["t"])
    assert asked.attributes == {"kind": "query", "policy.rule": "deletions"}
    assert (done.action_id, done.status, done.rows, done.verdict) == (asked.action_id, "00000", 1, "none")
    assert done.payload == b'{"columns":["a"],"rows":[["7"]]}'
    assert said.attributes == {"what": "notification", "channel": "c"}


async def test_a_held_action_is_not_under_way_and_refused_it_was_denied(recorder: Recorder, home: Home) -> None:
    session = open_session(recorder, "held")
    records = ActionRecords(session)
    live = records.requested(Action("DELETE FROM t"), rule("hold", approval=ApprovalObligation("why")))
    assert not live.is_write
    records.refused(live, rule("hold", approval=ApprovalObligation("why")))
    records.refused(live, rule("deny"))
    await session.wait(live.request)
    (trail,) = read_trails(home, "held")
    assert [event.verdict for event in trail.of("action.decided")] == ["deny", "deny"]
    assert trail.of("action.requested")[0].verdict == "hold"


async def test_what_a_comment_claims_is_in_the_links_and_nowhere_else(recorder: Recorder, home: Home) -> None:
    session = open_session(recorder, "claimed", limits={"max_statement_bytes": 1024})
    records = ActionRecords(session)
    claim = " /*custody_plan_step='2',principal='root'*/"
    records.requested(Action("SELECT 1" + claim), rule("allow"))
    records.requested(Action("SELECT 1"), rule("allow"))
    cut = Action("SELECT 1" + " " * 1024 + claim)
    live = records.requested(cut, rule("allow"))
    await session.wait(live.request)
    (trail,) = read_trails(home, "claimed")
    first, second, third = trail.of("action.requested")
    assert first.links == {"plan_step": "2", "sqlcommenter.principal": "root"}
    assert first.statement == "SELECT 1" + claim and first.attributes == {"kind": "query", "policy.rule": "deletions"}
    assert second.links == third.links == {} and third.is_truncated
    assert trail.context.principal != "root"


async def test_opaque_bytes_are_counted_and_told_once(recorder: Recorder, home: Home) -> None:
    session = open_session(recorder, "opaque")
    records = ActionRecords(session)
    for side, size in ((Side.AGENT, 5), (Side.UPSTREAM, 7), (Side.AGENT, 11)):
        records.opaque(Opaque(side, size, "not understood"))
    await session.wait(session.last_ticket)
    (trail,) = read_trails(home, "opaque")
    (told,) = trail.of("data.sent")
    assert (told.bytes, told.attributes["reason"], trail.of("data.received")) == (5, "not understood", [])
    assert (session.ledger.opaque_agent, session.ledger.opaque_upstream) == (16, 7)


async def test_a_result_says_which_columns_are_telling_ones_under_another_name(recorder: Recorder, home: Home) -> None:
    session = open_session(recorder, "aliases")
    records = ActionRecords(session)
    for statement, columns in (
        ("SELECT id, password AS x FROM users", ["id", "x"]),
        ("SELECT id FROM users", ["id"]),
        ("DECLARE c CURSOR FOR SELECT password AS y FROM users", []),
        ("FETCH ALL FROM c", ["y"]),
    ):
        action = Action(statement)
        live = records.requested(action, rule("allow", is_write=False))
        action.columns, action.row_values = columns, [["7"] * len(columns)] if columns else []
        await session.wait(records.completed(action, live))
    (trail,) = read_trails(home, "aliases")
    assert [event.payload for event in trail.of("action.completed")] == [
        b'{"columns":["id","x"],"rows":[["7","7"]],"sources":["","password"]}',
        b'{"columns":["id"],"rows":[["7"]]}',
        b"",
        b'{"columns":["y"],"rows":[["7"]],"sources":["password"]}',
    ]


async def test_statements_of_one_shape_name_the_same_columns(recorder: Recorder, home: Home) -> None:
    session = open_session(recorder, "shaped")
    records = ActionRecords(session)
    ruling = rule("allow", is_write=False)
    ruling.shape = "SELECT password AS x FROM users WHERE id = 0"
    for number in (7, 8):
        action = Action(f"SELECT password AS x FROM users WHERE id = {number}")
        live = records.requested(action, ruling)
        assert live.shape == ruling.shape and live.mark
        action.columns, action.row_values = ["x"], [["s3cret"]]
        ticket = records.completed(action, live)
    await session.wait(ticket)
    (trail,) = read_trails(home, "shaped")
    payload = b'{"columns":["x"],"rows":[["s3cret"]],"sources":["password"]}'
    assert [event.payload for event in trail.of("action.completed")] == [payload] * 2
