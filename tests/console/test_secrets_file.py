"""Changing the file of secrets: several at a time, cut off, under keys of several kinds."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from console import secrets_file
from console.control import Place, find_place
from ingest.secrets.encrypted import EncryptedSource
from schemas import keys
from schemas.errors import ConfigError
from schemas.runtime import Home
from schemas.secret_references import parse_reference
from tests.support.homes import write_settings


@pytest.fixture
def place(bare_home: Home) -> Place:
    write_settings(bare_home)
    return find_place()


def value_of(place: Place, name: str) -> str:
    source = EncryptedSource(place.settings.secrets.encrypted, place.home)
    return source.fetch(parse_reference(f"encrypted:{name}")).value


def test_changes_at_the_same_time_are_all_kept(place: Place) -> None:
    secrets_file.put(place, "first", "v")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: secrets_file.put(place, f"n{number}", f"v{number}"), range(24)))
    names = {item.name for item in secrets_file.list_all(place)}
    assert names == {"first", *(f"n{number}" for number in range(24))}
    assert value_of(place, "n7") == "v7"


def test_a_rotation_that_was_cut_off_leaves_a_file_that_opens(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    secrets_file.put(place, "db", "v")
    old = place.home.read_key("secrets-file.key")

    def cut_off(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(secrets_file.EncryptedFile, "write", cut_off)
        with pytest.raises(KeyboardInterrupt):
            secrets_file.rotate_key(place)
    assert place.home.read_key("secrets-file.key") != old
    assert value_of(place, "db") == "v"
    named = secrets_file.rotate_key(place)
    assert named == keys.read_ring(place.home, "file:secrets-file.key").names[0]
    assert value_of(place, "db") == "v"
    assert old in keys.older_keys(place.home, "secrets-file.key")


def test_a_key_that_is_gone_is_not_made_anew(place: Place) -> None:
    secrets_file.put(place, "db", "v")
    (place.home.secrets / "secrets-file.key").unlink()
    with pytest.raises(ConfigError, match=r"secrets-file\.key"):
        secrets_file.put(place, "db", "w")
    assert not (place.home.secrets / "secrets-file.key").exists()


def test_a_key_of_the_environment_is_rotated_there(bare_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    write_settings(bare_home, secrets={"encrypted": {"key": "env:SECRETS_KEY"}})
    monkeypatch.setenv("SECRETS_KEY", "aa" * 32)
    place = find_place()
    assert secrets_file.list_all(place) == []
    secrets_file.put(place, "db", "v")
    monkeypatch.setenv("SECRETS_KEY", f"{'bb' * 32} {'aa' * 32}")
    named = secrets_file.rotate_key(place)
    monkeypatch.setenv("SECRETS_KEY", "bb" * 32)
    assert named == keys.read_ring(bare_home, "env:SECRETS_KEY").names[0]
    assert value_of(place, "db") == "v"
    secrets_file.remove(place, "db")
    assert secrets_file.list_all(place) == []


def test_a_key_outside_the_secrets_is_refused(bare_home: Home) -> None:
    write_settings(bare_home, secrets={"encrypted": {"key": "file:../outside.key"}})
    with pytest.raises(ConfigError, match="outside"):
        secrets_file.put(find_place(), "db", "v")
    assert not (bare_home.root / "outside.key").exists()
