import pytest

from ingest.secrets.local import LocalSource
from schemas.errors import ConfigError
from schemas.runtime import Home, write_private
from schemas.secret_references import parse_reference


def test_the_environment_and_private_files(bare_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_PASSWORD", "from-env")
    source = LocalSource(bare_home)
    assert source.fetch(parse_reference("env:DB_PASSWORD")).value == "from-env"
    for value in (b"one\n", b"two\n"):
        write_private(bare_home.secrets / "db.password", value)
        assert source.fetch(parse_reference("file:db.password")).value == value.decode().strip()


def test_what_is_missing_empty_or_open_is_said(bare_home: Home) -> None:
    write_private(bare_home.secrets / "empty", b"")
    write_private(bare_home.secrets / "open", b"x")
    (bare_home.secrets / "open").chmod(0o644)
    for name in ("empty", "open", "nowhere"):
        with pytest.raises(ConfigError, match=name):
            LocalSource(bare_home).fetch(parse_reference(f"file:{name}"))
