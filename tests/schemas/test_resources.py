"""What control holds: models, documents, secret references."""

from pathlib import Path

import pytest

from schemas.errors import ConfigError
from schemas.resources import parse_document, resolve_secret
from schemas.runtime import Home, write_private

DB = {"name": "db", "protocol": "postgres", "listen": 15432, "upstream": {"host": "127.0.0.1", "port": 5432}}


def test_a_resource_is_gated_and_blocks_by_default() -> None:
    (resource,) = parse_document({"resources": [DB]}, "r.yaml").resources
    assert (resource.record, resource.on_audit_failure, resource.on_opaque) == ("complete", "block", "refuse")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "Not A Name"}, r"resources\.0\.name"),
        ({"listen": 70000}, r"resources\.0\.listen"),
        ({"protocol": "tcp"}, "needs `principal`"),
        ({"surprise": 1}, r"resources\.0\.surprise"),
    ],
)
def test_faults_name_their_path(change: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_document({"resources": [DB | change]}, "r.yaml")


def test_names_and_ports_are_unique() -> None:
    with pytest.raises(ConfigError, match="one name"):
        parse_document({"resources": [DB, DB]}, "r.yaml")
    with pytest.raises(ConfigError, match="one port"):
        parse_document({"resources": [DB, DB | {"name": "other"}]}, "r.yaml")


def test_secrets_are_named_never_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = Home(tmp_path)
    write_private(home.secrets / "db.password", b"hidden\n")
    monkeypatch.setenv("DB_PASSWORD", "from-env")
    assert resolve_secret("file:db.password", home) == "hidden"
    assert resolve_secret("env:DB_PASSWORD", home) == "from-env"
    assert resolve_secret("", home) == ""
    write_private(tmp_path / "outside", b"hidden")
    write_private(home.secrets / "binary", b"\xff\xfe")
    for reference in ("hidden", "env:ABSENT_VARIABLE", "file:absent", "file:../outside", "file:binary"):
        with pytest.raises(ConfigError):
            resolve_secret(reference, home)


def test_a_secret_that_others_may_read_is_refused(tmp_path: Path) -> None:
    home = Home(tmp_path)
    write_private(home.secrets / "db.password", b"hidden")
    (home.secrets / "db.password").chmod(0o644)
    with pytest.raises(ConfigError, match="0600"):
        resolve_secret("file:db.password", home)
