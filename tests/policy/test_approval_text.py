import pytest

from policy.approval_text import REASON, join_approvals, parse_approval
from policy.model import ApprovalObligation as Approval


@pytest.mark.parametrize(
    ("text", "approval"),
    [
        ("", Approval(REASON)),
        (" ; ", Approval(REASON)),
        ("big orders", Approval("big orders")),
        ("dual", Approval(REASON, 2)),
        ("2", Approval(REASON, 2)),
        ("a=b, surely", Approval("a=b, surely")),
        ("big orders; approvers=2", Approval("big orders", 2)),
        ("big orders ;within = 30; approvers=3;", Approval("big orders", 3, 30)),
        ("; within=3600", Approval(REASON, 1, 3600)),
    ],
)
def test_what_an_annotation_means(text: str, approval: Approval) -> None:
    assert parse_approval(text) == approval


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("0", "approvers is a number from 1 to 9, not '0'"),
        ("10", "from 1 to 9"),
        ("x; approvers=-1", "not '-1'"),
        ("x; approvers=²", "not '²'"),
        ("x; within=3601", "within is a number from 1 to 3600"),
        ("x; within=", "not ''"),
        ("x; within", "takes a reason, then approvers and within, not 'within'"),
        ("x; until=5", "not 'until=5'"),
        ("2; approvers=2", "approvers is given twice"),
    ],
)
def test_what_is_wrong_is_said(text: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        parse_approval(text)


def test_of_several_the_stricter_counts() -> None:
    assert join_approvals([]) is None
    one, two = Approval(REASON, 1, 600), Approval("ask ann", 2, 60)
    assert join_approvals([one, two]) == join_approvals([two, one]) == Approval("ask ann", 2, 60)
    assert join_approvals([one, Approval(REASON)]) == Approval(REASON, 1, 600)
