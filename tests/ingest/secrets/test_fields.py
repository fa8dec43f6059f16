import pytest

from ingest.secrets.fields import pick
from schemas.errors import ConfigError
from schemas.secret_references import parse_reference

WHOLE, FIELD = parse_reference("aws:db"), parse_reference("aws:db#password")


def test_the_whole_text_or_one_value() -> None:
    assert pick('{"password": "x"}', WHOLE) == '{"password": "x"}'
    assert pick('{"password": "x"}', FIELD) == "x"


@pytest.mark.parametrize("text", ["hunter2", "[]", '{"other": "hunter2"}', '{"password": 5}', "[" * 100_000, ""])
def test_what_has_no_such_value_is_said_without_it(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        pick(text, FIELD)
    assert "hunter2" not in str(caught.value)
