from pathlib import Path

from console.config_docs import make_page, setting_paths, walk
from schemas.resources import Resource

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"


def test_the_page_is_what_the_models_say() -> None:
    assert PAGE.read_text("utf-8") == make_page()


def test_every_setting_is_on_the_page() -> None:
    text = PAGE.read_text("utf-8")
    paths = setting_paths() | {key.path for key in walk(Resource)}
    assert {path for path in paths if f"`{path}`" not in text} == set()
    assert {"ports.kafka", "siem.syslog.host", "retention.classes.<name>.max_age_days", "policy_file"} <= paths


def test_every_setting_has_a_meaning_of_its_own() -> None:
    from schemas.config import Settings

    assert [key.path for key in walk(Settings) if not key.description] == []
