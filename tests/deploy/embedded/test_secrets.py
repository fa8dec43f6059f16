"""A home's secrets: made once, closed to others."""

import stat
from pathlib import Path

import pytest

from deploy.embedded.process import StackError
from deploy.embedded.secrets import create_secrets, read_kafka_passwords
from schemas.runtime import Home
from schemas.topics import COMPONENTS


def test_modes(secrets_home: Home) -> None:
    paths = list(secrets_home.root.rglob("*"))
    assert len(paths) > 30
    for path in (secrets_home.root, *paths):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), path


def test_keys_are_usable_and_all_different(secrets_home: Home) -> None:
    assert secrets_home.unseal_key().public_key() == secrets_home.unseal_public()
    for name in ("api", "detect", "proxy-tcp", "proxy-http"):
        assert secrets_home.signing_key(name).public_key() == secrets_home.verify_key(name)
    assert all(len(secrets_home.read_key(f"{name}.key")) == 32 for name in ("mint", "token", "digest"))
    files = [path for path in secrets_home.secrets.rglob("*") if path.is_file()]
    assert len({path.read_bytes() for path in files}) == len(files)
    assert set(read_kafka_passwords(secrets_home)) == {"admin", *COMPONENTS}


def test_a_second_run_changes_nothing_and_restores_what_can_be(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    create_secrets(home)
    before = read_all(home)
    (home.public / "api.pub").unlink()
    create_secrets(home)
    assert read_all(home) == before
    (home.secrets / "proxy-tcp.key").unlink()
    create_secrets(home)
    after = read_all(home)
    assert {name for name in before if before[name] != after[name]} == {"proxy-tcp.key", "proxy-tcp.pub"}


@pytest.mark.parametrize("name", ["api", "unseal"])
def test_a_lost_key_that_cannot_be_replaced_is_an_error(tmp_path: Path, name: str) -> None:
    home = Home(tmp_path / "home")
    create_secrets(home)
    (home.secrets / f"{name}.key").unlink()
    with pytest.raises(StackError, match=f"secrets/{name}.key is gone"):
        create_secrets(home)


def read_all(home: Home) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in home.root.rglob("*") if path.is_file()}
