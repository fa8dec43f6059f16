"""What `@approval` on a policy says: `deletions wait for a person; approvers=2; within=300`."""

from collections.abc import Iterable
from typing import Final

from policy.annotations import read_settings
from policy.model import ApprovalObligation

KEYS: Final = ("approvers", "within")
REASON: Final = "an approval is needed"
DUAL: Final = "dual"
MAX_APPROVERS: Final = 9
MAX_WITHIN_S: Final = 3600


def parse_approval(text: str) -> ApprovalObligation:
    """The obligation that an annotation's text means. Raises ValueError, which says what is wrong.

    First why (may be empty; `dual` or a number alone say how many must approve); then, behind semicolons and each at
    most once, `KEYS`: how many different people, and for how many seconds the action waits.
    """
    head, *rest = (part.strip() for part in text.split(";"))
    if head == DUAL or (head.isascii() and head.isdigit()):
        rest.insert(0, f"approvers={2 if head == DUAL else head}")
        head = ""
    given = read_settings("approval", rest, KEYS, f"a reason, then {' and '.join(KEYS)}")
    return ApprovalObligation(
        head or REASON,
        _number(given.get("approvers", "1"), "approvers", MAX_APPROVERS),
        _number(given["within"], "within", MAX_WITHIN_S) if "within" in given else 0,
    )


def _number(text: str, key: str, most: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10 and 1 <= int(text) <= most):
        raise ValueError(f"@approval: {key} is a number from 1 to {most}, not {text!r}")
    return int(text)


def join_approvals(approvals: Iterable[ApprovalObligation]) -> ApprovalObligation | None:
    """All that these demand together, the stricter where they differ; None for none of them."""
    found = list(approvals)
    if not found:
        return None
    reason = next((each.reason for each in found if each.reason != REASON), REASON)
    limits = [each.within_s for each in found if each.within_s]
    return ApprovalObligation(reason, max(each.approvers for each in found), min(limits, default=0))
