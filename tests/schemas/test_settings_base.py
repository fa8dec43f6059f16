import pytest
from pydantic import ValidationError

from schemas.settings_base import Model, is_loopback


class Sample(Model):
    port: int = 1


def test_unknown_keys_are_faults_and_values_stay() -> None:
    with pytest.raises(ValidationError, match="surplus"):
        Sample.model_validate({"surplus": 1})
    with pytest.raises(ValidationError, match="frozen"):
        Sample().port = 2  # type: ignore[misc]


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.9.9.9", "::1", "[::1]"])
def test_this_host(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "localhost.example.com", "127.0.0.1.nip.io", ""])
def test_another_host(host: str) -> None:
    assert not is_loopback(host)
