from typing import Any

import pytest
from pydantic import ValidationError

from console.api.identity_models import IdToken, TokenRequest

WHOLE = {"grant_type": "g", "subject_token": "t", "subject_token_type": "k"}


def test_a_request_for_a_token_has_its_defaults() -> None:
    found = TokenRequest.model_validate(WHOLE | {"lifetime": "600", "audience": ["orders"]})
    assert (found.lifetime, found.audience, found.agent, found.actor_token) == (600, ["orders"], "", "")


@pytest.mark.parametrize(
    "change",
    [{"client_id": "x" * 2049}, {"lifetime": "0"}, {"lifetime": "x"}, {"surplus": "1"}, {"audience": ["x"] * 101},
     {"subject_token": "x" * 16_385}, {"charter": "x" * 129}],
    ids=lambda change: next(iter(change)),
)  # fmt: skip
def test_parameters_are_checked(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TokenRequest.model_validate(WHOLE | change)


def test_an_id_token_is_bounded() -> None:
    for text in ("", "x" * 16_385):
        with pytest.raises(ValidationError):
            IdToken(id_token=text)
