from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from console.api.models import CredentialRequest, EventsQuery, Period


def test_a_period_is_given_in_times_or_how_long_ago() -> None:
    since, until = Period(since="2026-01-31T12:00", until="2026-02-01").bounds()
    assert since == int(datetime(2026, 1, 31, 12, tzinfo=UTC).timestamp() * 1_000_000)
    assert until == int(datetime(2026, 2, 1, tzinfo=UTC).timestamp() * 1_000_000)
    since, until = Period(since="2h").bounds()
    assert until - since == 26 * 3600 * 1_000_000 or abs(until - since - 26 * 3600 * 1_000_000) < 10


@pytest.mark.parametrize(
    "change",
    [{"since": "soon"}, {"limit": "1001"}, {"agent": "x" * 1001}, {"custody": "perhaps"}, {"cursor": "x" * 401}],
)
def test_filters_are_checked(change: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        EventsQuery.model_validate_strings(change)


@pytest.mark.parametrize("change", [{"resources": []}, {"agent": ""}, {"ttl": "-1h"}, {"resources": ["x"] * 101}])
def test_a_credential_is_asked_for_with_sense(change: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        CredentialRequest.model_validate({"agent": "a", "resources": ["r"]} | change)
