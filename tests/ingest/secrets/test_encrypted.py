"""The encrypted file as a place of secrets: changes of file and key are taken up by the next asking."""

import os

import pytest

from ingest.secrets.encrypted import EncryptedSource, find_path
from ingest.secrets.encrypted_file import EncryptedFile
from schemas.errors import ConfigError
from schemas.keys import read_ring, rotate_file
from schemas.runtime import Home, write_private
from schemas.secret_references import parse_reference
from schemas.secrets_config import Encrypted

DB = parse_reference("encrypted:db")


def test_new_values_and_new_keys_are_taken_up(bare_home: Home) -> None:
    settings = Encrypted()
    write_private(bare_home.secrets / "secrets-file.key", os.urandom(32))
    file = EncryptedFile(find_path(settings, bare_home))
    source = EncryptedSource(settings, bare_home)
    for value in ("one", "two"):
        file.put(read_ring(bare_home, settings.key), "db", value)
        assert source.fetch(DB).value == value
    rotate_file(bare_home, "secrets-file.key", lambda: os.urandom(32))
    assert source.fetch(DB).value == "two"  # the file is still under the old key
    file.write(read_ring(bare_home, settings.key), file.read(read_ring(bare_home, settings.key)))
    assert source.fetch(DB).value == "two"
    with pytest.raises(ConfigError, match="encrypted:other: there is no such secret"):
        source.fetch(parse_reference("encrypted:other"))


def test_a_key_of_the_environment_is_read_again_when_it_does_not_fit(
    bare_home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Encrypted(file="elsewhere/kept", key="env:SECRETS_KEY")
    monkeypatch.setenv("SECRETS_KEY", "aa" * 32)
    file = EncryptedFile(find_path(settings, bare_home))
    file.put(read_ring(bare_home, settings.key), "db", "one")
    source = EncryptedSource(settings, bare_home)
    assert source.fetch(DB).value == "one"
    monkeypatch.setenv("SECRETS_KEY", "bb" * 32 + "," + "aa" * 32)
    ring = read_ring(bare_home, settings.key)
    file.write(ring, file.read(ring))
    assert source.fetch(DB).value == "one"
    monkeypatch.setenv("SECRETS_KEY", "cc" * 32)
    with pytest.raises(ConfigError, match="another key"):
        EncryptedSource(settings, bare_home).fetch(DB)
    assert find_path(Encrypted(file="/srv/kept"), bare_home).as_posix() == "/srv/kept"


def test_without_file_or_key_it_says_which(bare_home: Home) -> None:
    with pytest.raises(ConfigError, match=r"secrets-file\.key"):
        EncryptedSource(Encrypted(), bare_home).fetch(DB)
    write_private(bare_home.secrets / "secrets-file.key", os.urandom(32))
    with pytest.raises(ConfigError, match=r"secrets\.encrypted"):
        EncryptedSource(Encrypted(), bare_home).fetch(DB)
