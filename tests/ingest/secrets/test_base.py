import pytest

from ingest.secrets.base import Secret, text_of
from schemas.errors import ConfigError
from schemas.secret_references import parse_reference

REFERENCE = parse_reference("vault:kv/app/db#password")


def test_a_secret_is_not_shown() -> None:
    assert "hunter2" not in repr(Secret("hunter2", "app"))


@pytest.mark.parametrize("value", ["", None, 5, ["hunter2"], {"x": "hunter2"}])
def test_what_is_no_text_is_said_without_it(value: object) -> None:
    with pytest.raises(ConfigError, match="vault:kv/app/db has no text 'password'") as caught:
        text_of(value, REFERENCE)
    assert "hunter2" not in str(caught.value)
