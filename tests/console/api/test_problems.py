import json

import pytest
from pydantic import ValidationError

from console.api.models import CredentialRequest
from console.api.problems import MEDIA_TYPE, Problem, invalid, problem_of
from console.store import QueryFailed
from schemas.errors import AuditUnavailable, ConfigError, LogGap, Unreachable


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (ConfigError("no such thing"), 400, "no such thing"),
        (QueryFailed("Code: 62"), 400, "Code: 62"),
        (Unreachable("the store does not answer"), 503, "does not answer"),
        (AuditUnavailable("x"), 503, "audit log"),
        (Problem(404, "not-found", "gone"), 404, "gone"),
    ],
)
def test_errors_that_name_their_fault_are_quoted(error: Exception, status: int, words: str) -> None:
    problem = problem_of(error)
    assert problem.status == status and words in problem.detail


@pytest.mark.parametrize("error", [KeyError("secret-value"), LogGap("secret-value"), RuntimeError("secret-value")])
def test_what_went_wrong_inside_is_not_told(error: Exception) -> None:
    body = problem_of(error).respond().body
    assert b"secret-value" not in bytes(body)
    assert json.loads(bytes(body))["status"] == 500


def test_secrets_in_a_message_are_scrubbed() -> None:
    assert "hunter2" not in problem_of(ConfigError("postgres://u:hunter2@db failed")).detail


def test_the_form_is_rfc_9457() -> None:
    response = Problem(429, "slow-down", "too many", headers={"Retry-After": "3"}).respond()
    document = json.loads(bytes(response.body))
    assert response.media_type == MEDIA_TYPE and response.headers["Retry-After"] == "3"
    assert document == {
        "type": "urn:custody:problem:slow-down",
        "title": "Too Many Requests",
        "status": 429,
        "detail": "too many",
    }


def test_every_fault_is_named_with_its_path_and_without_its_value() -> None:
    with pytest.raises(ValidationError) as caught:
        CredentialRequest.model_validate({"agent": "", "resources": [], "ttl": "soon", "surplus": "hunter2"})
    problem = invalid(caught.value, "content")
    assert problem.status == 422
    assert [fault.split(": ")[1] for fault in problem.faults] == ["agent", "resources", "ttl", "surplus"]
    assert "hunter2" not in "".join(problem.faults)


def test_a_problem_is_bounded() -> None:
    problem = Problem(400, "refused", "x" * 100_000, faults=["y" * 100_000] * 500)
    assert len(bytes(problem.respond().body)) < 500_000
