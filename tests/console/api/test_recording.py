"""The recorder over a trail whose broker is away: nothing is claimed to be recorded. The rest is in test_server.py."""

from typing import Any

import pytest

from console.api.recording import REFUSALS_PER_MINUTE, Recorder
from schemas.errors import AuditUnavailable


class FullTrail:
    """A trail that takes no more, as one does when too much waits for the broker."""

    def __init__(self) -> None:
        self.asked = 0

    def open(self, *_: Any, **__: Any) -> Any:
        self.asked += 1
        raise AuditUnavailable("full")


def test_a_guess_that_cannot_be_recorded_is_said_and_harms_nothing(caplog: pytest.LogCaptureFixture) -> None:
    trail = FullTrail()
    recorder = Recorder(trail)  # type: ignore[arg-type]
    for _ in range(REFUSALS_PER_MINUTE * 3):
        recorder.refuse_unknown(("127.0.0.1", 1), "x", "sessions.list", "GET /v1/sessions", "unauthorized")
    assert trail.asked == REFUSALS_PER_MINUTE
    assert [line.getMessage() for line in caplog.records] == ["a refusal could not be recorded"] * REFUSALS_PER_MINUTE


def test_a_request_that_cannot_be_recorded_is_refused() -> None:
    with pytest.raises(AuditUnavailable):
        Recorder(FullTrail()).open("ann", ("127.0.0.1", 1), "x")  # type: ignore[arg-type]
