from console.api.caller import Caller
from console.api.roles import Permission


def test_a_caller_may_what_one_of_the_roles_allows() -> None:
    both = Caller("ann", ("auditor", "approver"))
    assert both.may(Permission.APPROVAL_DECIDE) and Caller("ann", ("auditor",)).may(Permission.TRAIL_READ)
    assert not Caller("ann", ("auditor",)).may(Permission.APPROVAL_DECIDE)
    assert not any(Caller("ann").may(permission) for permission in Permission)


def test_what_was_shown_is_in_no_text_of_it() -> None:
    assert "s3cret" not in repr(Caller("ann", token="s3cret", proof={"id_token": "s3cret"}))
