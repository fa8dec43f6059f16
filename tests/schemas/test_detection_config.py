import pytest
from pydantic import ValidationError

from schemas.detection_config import Detection


def test_by_default_nobody_is_stopped() -> None:
    assert Detection().quarantine == {}


@pytest.mark.parametrize(
    "values",
    [{"quarantine": {"denied-burst": "principal"}}, {"max_quarantines_per_hour": 0}, {"quarantines": {}}],
    ids=str,
)
def test_what_cannot_be_is_told(values: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Detection.model_validate(values)
