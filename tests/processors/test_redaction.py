"""Every place of a batch in which a secret may stand."""

import json
from typing import Any

import pytest

from masking.engine import Masker
from masking.tokens import TokenKey
from processors.redaction import Redactor
from schemas.events import EventBatch, Masked, SessionEvent
from schemas.wire import framing
from tests.processors.pipeline import CARD, make_context, make_event
from tests.support.compiled import COMPILED

REDACTOR = Redactor(Masker(tokens=TokenKey(b"k" * 32), kept=COMPILED))
SECRET = "hunter2hunter2"


def redact(context: dict[str, Any] | None = None, **event: Any) -> tuple[bool, dict[str, Any], dict[str, Any]]:
    """(whether it changed, the context, the event)."""
    batch = EventBatch("p", "e", 0, sessions=[make_context(**(context or {}))])
    kind = event.pop("kind", "action.requested")
    batch.events = [SessionEvent(0, make_event(1, kind, **event))]
    fields = framing.decode_body("EventBatch", framing.encode_body("EventBatch", framing.batch_fields(batch)))
    changed = REDACTOR.redact(fields)
    assert framing.decode_body("EventBatch", framing.encode_body("EventBatch", fields)) == fields
    return changed, fields["sessions"][0], fields["events"][0]["event"]


@pytest.mark.parametrize(
    ("place", "values"),
    [
        ("statement", {"statement": f"insert {CARD}"}),
        ("fingerprint", {"fingerprint": f"insert {CARD}"}),
        ("status", {"status": f"no {CARD}"}),
        ("error", {"error": f"bad value {CARD}"}),
        ("parameters[1]", {"parameters": ["1", CARD, None]}),
        ("objects[0]", {"objects": [f"read:t_{CARD}", f"read: {CARD}"]}),
        ("attributes.note", {"attributes": {"note": CARD}}),
        ("links.trace", {"links": {"trace": CARD}}),
        ("payload", {"payload": f"x {CARD}".encode(), "payload_type": "text"}),
        ("payload:$.a", {"payload": json.dumps({"a": CARD}).encode(), "payload_type": "json"}),
        ("payload:n", {"payload": b'{"columns":["n"],"rows":[["%s"]]}' % CARD.encode(), "payload_type": "rows"}),
        (
            "payload:columns",
            {"payload": b'{"columns":["n %s"],"rows":[["1"]]}' % CARD.encode(), "payload_type": "rows"},
        ),
        ("payload", {"payload": f"copied\t{CARD}\n".encode(), "payload_type": "binary"}),
    ],
)
def test_a_card_is_masked_wherever_it_stands(place: str, values: dict[str, Any]) -> None:
    changed, _, event = redact(**values)
    assert changed
    assert CARD not in json.dumps(event, default=lambda value: value.decode("latin-1")) or place == "objects[0]"
    assert place in {item["place"] for item in event["masked"]} or place == "objects[0]"
    assert all(item["label"] and item["token"] and item["count"] == 1 for item in event["masked"])


def test_a_name_tells_what_its_value_is() -> None:
    for values in (
        {"attributes": {"header.authorization": f"Bearer {SECRET}"}},
        {"attributes": {"header.cookie": f"sid={SECRET}"}},
        {"payload": b'{"columns":["password"],"rows":[["%s"]]}' % SECRET.encode(), "payload_type": "rows"},
        {"payload": b'{"password":"%s"}' % SECRET.encode(), "payload_type": "json"},
    ):
        changed, _, event = redact(**values)
        assert changed and SECRET not in str(event), values


def test_contexts_are_masked_and_identity_is_not() -> None:
    changed, context, event = redact(
        {"client": f"tool {CARD}", "attributes": {"user": CARD}, "principal": "ann@example.com"}, kind="session.opened"
    )
    assert changed and CARD not in str(context)
    assert context["principal"] == "ann@example.com"
    assert {item["place"] for item in event["masked"]} == {"session.client", "session.attributes.user"}


def test_what_a_refused_login_claimed_is_masked() -> None:
    changed, context, event = redact({"credential_id": f"user-{CARD}"}, kind="session.opened")
    assert changed and CARD not in str(context)
    assert {item["place"] for item in event["masked"]} == {"session.credential_id"}


@pytest.mark.parametrize(
    "values",
    [
        {"payload": b'{"columns":["c %s"],"rows":[["%s"]]}' % (CARD.encode(), CARD.encode()), "payload_type": "rows"},
        {"payload": json.dumps({f"k {CARD}": {"a": CARD}}).encode(), "payload_type": "json"},
        {"attributes": {f"header.x-{CARD}": CARD}},
    ],
)
def test_a_place_shows_no_secret(values: dict[str, Any]) -> None:
    changed, _, event = redact(**values)
    assert changed and CARD not in json.dumps(event, default=lambda value: value.decode("latin-1"))
    assert any("‹payment_card:" in item["place"] for item in event["masked"])


def test_what_holds_nothing_stays_as_it_is() -> None:
    values = {"statement": "select 1", "payload": b'{"columns":["n"],"rows":[["1"]]}', "payload_type": "rows"}
    assert redact(**values)[0] is False
    assert redact(masked=[Masked("card", 1, "abc", "statement")])[0] is False


def test_bytes_that_are_no_text_leave_their_count_only() -> None:
    for kind in ("binary", "text", ""):
        changed, _, event = redact(payload=bytes(range(256)), payload_type=kind, payload_bytes=256, payload_digest=b"d")
        assert changed and event["payload"] == b"" and event["is_truncated"]
        assert (event["payload_type"], event["payload_bytes"], event["payload_digest"]) == ("binary", 256, b"d")


@pytest.mark.parametrize("content", [b'{"columns":["n"],"rows":[["%s"', b'{"columns":1,"rows":"%s"}', b'["%s"]', b"%s"])
def test_rows_that_are_cut_off_or_odd_are_masked_all_the_same(content: bytes) -> None:
    changed, _, event = redact(payload=content % CARD.encode(), payload_type="rows")
    assert changed and CARD.encode() not in event["payload"]


def test_one_suspect_among_many_payloads_is_found() -> None:
    batch = EventBatch("p", "e", 0, sessions=[make_context()])
    for number in range(9):
        content = f'{{"n": "{CARD if number == 4 else number}"}}'.encode()
        batch.events.append(SessionEvent(0, make_event(number + 1, payload=content, payload_type="json")))
    fields = framing.decode_body("EventBatch", framing.encode_body("EventBatch", framing.batch_fields(batch)))
    assert REDACTOR.redact(fields)
    assert [bool(item["event"]["masked"]) for item in fields["events"]] == [number == 4 for number in range(9)]
    assert CARD not in str(fields)


def test_who_approved_what_stays_and_all_else_about_an_approval_is_masked() -> None:
    facts = {
        "approval.id": "4111111111111111",
        "approval.approver": "bob@example.com",
        "approval.comment": f"see {CARD}",
    }
    changed, _, event = redact(kind="approval.decided", attributes=facts, links={"approval.approver": CARD})
    assert changed
    told = event["attributes"]
    assert (told["approval.id"], told["approval.approver"]) == (facts["approval.id"], facts["approval.approver"])
    assert CARD not in told["approval.comment"] and CARD not in event["links"]["approval.approver"]
    assert {item["place"] for item in event["masked"]} == {"attributes.approval.comment", "links.approval.approver"}
    changed, _, event = redact(attributes={"approval.approver": "bob@example.com"})  # of another kind: an agent's words
    assert changed and "bob" not in event["attributes"]["approval.approver"]


def test_a_column_under_another_name_is_masked_as_what_it_is() -> None:
    table = {"columns": ["id", "x"], "rows": [["1", SECRET], ["2", None]], "sources": ["", "password"]}
    changed, _, event = redact(
        kind="action.completed", payload=json.dumps(table, separators=(",", ":")).encode(), payload_type="rows"
    )
    shown = json.loads(event["payload"])
    assert changed and shown["columns"] == ["id", "x"] and shown.keys() == {"columns", "rows"}
    assert shown["rows"][0][1].startswith("‹password:") and shown["rows"][1] == ["2", None]
    assert [(entry["label"], entry["place"]) for entry in event["masked"]] == [("password", "payload:x")]


@pytest.mark.parametrize("sources", [["password"], "password", [1, 2], {"x": "password"}])
def test_sources_that_do_not_fit_make_it_no_table(sources: Any) -> None:
    table = {"columns": ["id", "x"], "rows": [["1", CARD]], "sources": sources}
    _, _, event = redact(kind="action.completed", payload=json.dumps(table).encode(), payload_type="rows")
    assert CARD.encode() not in event["payload"]
