import pytest
from pydantic import ValidationError

from schemas.approvals import Decision, Quarantine

DECISION = {
    "approval_id": "0123456789ab",
    "session_id": "s",
    "digest": "0" * 64,
    "verdict": "approve",
    "approver": "ann",
    "at": 1,
}


def test_a_decision_is_once_unless_it_says_more() -> None:
    decision = Decision.model_validate(DECISION)
    assert (decision.scope, decision.minutes, decision.reason) == ("once", 0, "")


@pytest.mark.parametrize(
    "changes",
    [
        {"approval_id": "0123456789AB"},
        {"digest": "0" * 63},
        {"verdict": "allow"},
        {"approver": ""},
        {"approver": "  "},
        {"approver": "a\nb"},
        {"approver": "a" * 257},
        {"scope": "always"},
        {"minutes": -1},
        {"minutes": 1441},
        {"reason": "r" * 1001},
        {"more": 1},
    ],
)
def test_a_malformed_decision_is_none(changes: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Decision.model_validate(DECISION | changes)


def test_a_quarantine_has_its_kind_and_name_as_its_key() -> None:
    assert Quarantine(kind="agent", name="planner/1.0", by="ann", at=1).id == "agent:planner/1.0"
    with pytest.raises(ValidationError):
        Quarantine.model_validate({"kind": "resource", "name": "x", "by": "ann", "at": 1})
