"""What a decision over the API may say; what it must not."""

import pytest
from pydantic import BaseModel, ValidationError

from console.api.approval_models import Approval, Denial, QuarantineRequest


@pytest.mark.parametrize(
    ("model", "body"),
    [
        (Approval, {"approver": "bob"}),
        (Approval, {"minutes": -1}),
        (Approval, {"minutes": 1441}),
        (Approval, {"reason": "x" * 1001}),
        (Denial, {}),
        (Denial, {"reason": ""}),
        (Denial, {"reason": "x", "by": "bob"}),
        (QuarantineRequest, {"kind": "agent", "name": "a", "reason": "x", "by": "bob"}),
    ],
)
def test_nobody_is_named_and_bounds_hold(model: type[BaseModel], body: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        model.model_validate(body)


def test_the_defaults_are_this_action_alone() -> None:
    assert (Approval().minutes, Approval().reason) == (0, "")
