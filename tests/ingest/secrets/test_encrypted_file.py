"""The file of secrets: what it keeps to itself, and every way in which it may be broken."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.secrets.encrypted_file import (
    HEAD_BYTES,
    MAGIC,
    MAX_FILE_BYTES,
    MAX_VALUE_BYTES,
    EncryptedFile,
    Entry,
    WrongKey,
)
from schemas.errors import ConfigError
from schemas.keys import KeyRing

RING = KeyRing([b"k" * 32])


@pytest.fixture
def file(tmp_path: Path) -> EncryptedFile:
    made = EncryptedFile(tmp_path / "kept")
    made.put(RING, "db", "hunter2-of-the-db")
    return made


def test_what_is_put_is_read_and_does_not_show(file: EncryptedFile, tmp_path: Path) -> None:
    file.put(RING, "api.key", "ключ")
    file.put(RING, "db", "second")
    assert {name: entry.value for name, entry in file.read(RING).items()} == {"api.key": "ключ", "db": "second"}
    raw = (tmp_path / "kept").read_bytes()
    assert b"second" not in raw and b"api" not in raw and "ключ".encode() not in raw
    assert (tmp_path / "kept").stat().st_mode & 0o777 == 0o600
    assert "second" not in repr(file.read(RING))
    file.remove(RING, "db")
    assert list(file.read(RING)) == ["api.key"]
    with pytest.raises(ConfigError, match="no such secret"):
        file.remove(RING, "db")


def test_no_two_writings_look_alike(file: EncryptedFile, tmp_path: Path) -> None:
    before = (tmp_path / "kept").read_bytes()
    file.write(RING, file.read(RING))
    after = (tmp_path / "kept").read_bytes()
    assert len(before) == len(after)
    assert before[HEAD_BYTES - 32 : HEAD_BYTES] != after[HEAD_BYTES - 32 : HEAD_BYTES]
    assert before[HEAD_BYTES:] != after[HEAD_BYTES:]


def test_every_altered_byte_and_every_cut_is_one_clear_error(file: EncryptedFile, tmp_path: Path) -> None:
    path = tmp_path / "kept"
    whole = path.read_bytes()
    for index in range(len(whole)):
        path.write_bytes(whole[:index] + bytes([whole[index] ^ 1]) + whole[index + 1 :])
        with pytest.raises(ConfigError, match=r"kept (was altered|was written under another key|is no file)"):
            file.read(RING)
        path.write_bytes(whole[:index])
        with pytest.raises(ConfigError, match=r"kept (was altered|is cut off|is no file)"):
            file.read(RING)
    path.write_bytes(whole + b"\x00")
    with pytest.raises(ConfigError, match="was altered"):
        file.read(RING)


def test_another_key_is_told_from_an_altered_file(file: EncryptedFile) -> None:
    with pytest.raises(WrongKey, match=f"another key \\({RING.names[0]}\\)"):
        file.read(KeyRing([b"x" * 32]))
    assert file.read(KeyRing([b"x" * 32, b"k" * 32]))["db"].value == "hunter2-of-the-db"


def test_the_key_that_a_head_names_is_not_trusted_for_it(file: EncryptedFile, tmp_path: Path) -> None:
    """Somebody else's file under our key's name opens nothing."""
    other = KeyRing([b"o" * 32])
    foreign = EncryptedFile(tmp_path / "foreign")
    foreign.put(other, "db", "planted")
    raw = (tmp_path / "foreign").read_bytes()
    head = MAGIC + bytes.fromhex(RING.names[0])
    (tmp_path / "kept").write_bytes(head + raw[len(head) :])
    with pytest.raises(ConfigError, match="was altered"):
        file.read(RING)


@given(st.binary(max_size=300))
def test_any_bytes_end_in_an_error(raw: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "kept")
        for content in (raw, MAGIC + raw):
            path.write_bytes(content)
            with pytest.raises(ConfigError):
                EncryptedFile(path).read(RING)


def test_what_is_no_secret_or_too_large_is_refused(file: EncryptedFile, tmp_path: Path) -> None:
    for name in ("", "a b", "../x", "a/b", "-x", "x" * 201, "a\n"):
        with pytest.raises(ConfigError, match="name"):
            file.put(RING, name, "v")
    for value in ("", "a\x00b", "v" * (MAX_VALUE_BYTES + 1)):
        with pytest.raises(ConfigError, match="a secret is text"):
            file.put(RING, "x", value)
    large = {str(number): Entry("v" * MAX_VALUE_BYTES, 0) for number in range(65)}
    with pytest.raises(ConfigError, match="larger"):
        file.write(RING, large)
    assert list(file.read(RING)) == ["db"]
    with (tmp_path / "kept").open("r+b") as raw:
        raw.truncate(MAX_FILE_BYTES + 1)
    with pytest.raises(ConfigError, match="larger"):
        file.read(RING)
    with pytest.raises(ConfigError, match="nowhere"):
        EncryptedFile(tmp_path / "nowhere").read(RING)
