"""The API's answers as the command shows them. The whole way: api/endpoints/test_approvals.py."""

from typing import Any

import pytest

from console.approvals import Answer, Past, as_document
from console.remote import ApiRefused
from console.remote_approvals import decide, list_documents, read_document
from schemas.errors import ConfigError, Unreachable
from sinks.approvals.pending import Pending
from tests.sinks.approvals.test_pending import asked, batch


class Told:
    """An API that answers from a script: (method, path) -> a document, or a status."""

    def __init__(self, answers: dict[tuple[str, str], Any]) -> None:
        self.answers = {("GET", "/v1/approvals"): {"approvals": [{"approval_id": "abc1"}, {"approval_id": "abd2"}]}}
        self.answers |= answers
        self.asked: list[Any] = []

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        self.asked.append((method, path, body))
        answer = self.answers[method, path]
        if isinstance(answer, int):
            raise ApiRefused(answer, f"it says {answer}")
        return answer


def test_a_document_is_read_back() -> None:
    (held,) = Pending().take(batch(asked()))
    past = Past(3, 1, 1, ("SELECT 1",))
    read, told = read_document(as_document(held, past))
    assert (read.statement, read.delegation, read.approvers, told) == (held.statement, held.delegation, 2, past)
    assert read_document(as_document(held))[1] is None
    with pytest.raises(Unreachable):
        read_document({"approval_id": "a1"})


def test_what_ends_meanwhile_is_left_out() -> None:
    remote: Any = Told({("GET", "/v1/approvals/abc1"): 409, ("GET", "/v1/approvals/abd2"): {"approval_id": "abd2"}})
    assert list_documents(remote) == [{"approval_id": "abd2"}]
    remote = Told({("GET", "/v1/approvals/abc1"): 403})
    with pytest.raises(ApiRefused):
        list_documents(remote)


@pytest.mark.parametrize(
    ("told", "answer"),
    [
        ({"status": "approved", "told": "", "delay_us": 7}, Answer("approved", "", 7)),
        (409, Answer("refused", "it says 409")),
        (504, Answer("unknown", "it says 504")),
    ],
    ids=["approved", "conflict", "silent"],
)
def test_a_decision_and_what_came_of_it(told: Any, answer: Answer) -> None:
    remote: Any = Told({("POST", "/v1/approvals/abc1/approve"): told})
    assert decide(remote, "abc", "approve", 5, "fine") == ("abc1", answer)
    assert remote.asked[-1][2] == {"reason": "fine", "minutes": 5}


def test_which_one_is_meant_must_be_clear() -> None:
    remote: Any = Told({("POST", "/v1/approvals/x%2Fy/deny"): 404})
    for id in ("ab", ""):
        with pytest.raises(ConfigError):
            decide(remote, id, "deny", 0, "no")
    with pytest.raises(ApiRefused):
        decide(remote, "x/y", "deny", 0, "no")
