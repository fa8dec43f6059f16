"""The settings of annotations: each key once, and nothing else."""

import pytest

from policy.annotations import read_settings

KEYS = ("approvers", "within")


def test_values_stand_under_their_keys() -> None:
    assert read_settings("approval", [" approvers = 2", "", " ", "within=a=b"], KEYS, "x") == {
        "approvers": "2",
        "within": "a=b",
    }


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        (["who=2"], "@approval takes x, not 'who=2'"),
        ([" approvers "], "@approval takes x, not 'approvers'"),
        (["within=1", "within=2"], "@approval: within is given twice"),
    ],
)
def test_what_is_wrong_is_named(parts: list[str], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        read_settings("approval", parts, KEYS, "x")
