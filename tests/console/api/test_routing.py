import pytest
from pydantic import ValidationError

from console.api.caller import Caller
from console.api.roles import ROLES, Permission
from console.api.routing import Nothing


@pytest.mark.parametrize("permission", Permission)
def test_a_caller_may_what_one_of_their_roles_may(permission: Permission) -> None:
    assert not Caller("ann").may(permission)
    assert Caller("ann", ("auditor", "operator")).may(permission) == (
        permission in ROLES["auditor"] | ROLES["operator"]
    )


def test_requests_carry_nothing_unknown() -> None:
    with pytest.raises(ValidationError, match="surplus"):
        Nothing.model_validate({"surplus": "1"})
