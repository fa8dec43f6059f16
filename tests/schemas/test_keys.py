"""Key rings from files, the environment and a key service's command; rotation that loses no key."""

import base64
import sys
from pathlib import Path

import pytest

from schemas.errors import ConfigError
from schemas.keys import MAX_KEYS, KeyRing, RingWatch, parse_keys, read_ring, rotate_file
from schemas.runtime import Home, write_private

OLD, NEW, NEWER = b"o" * 32, b"n" * 32, b"m" * 32


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    write_private(home.secrets / "token.key", OLD)
    return home


def test_a_rotated_file_keeps_every_key_newest_first(home: Home) -> None:
    assert read_ring(home, "file:token.key").keys == (OLD,)
    rotate_file(home, "token.key", lambda: NEW)
    retired = rotate_file(home, "token.key", lambda: NEWER)
    assert read_ring(home, "file:token.key").keys == (NEWER, NEW, OLD)
    assert (home.secrets / retired).read_bytes() == NEW
    assert (home.secrets / retired).stat().st_mode & 0o077 == 0


def test_a_rotation_cut_off_between_its_steps_loses_nothing(home: Home) -> None:
    def fail() -> bytes:
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space"):
        rotate_file(home, "token.key", fail)
    assert read_ring(home, "file:token.key").keys == (OLD,)


def test_a_watch_tells_a_rotation_once(home: Home) -> None:
    watch = RingWatch(home, "file:token.key")
    assert watch.read().keys == (OLD,)
    assert watch.poll() is None
    rotate_file(home, "token.key", lambda: NEW)
    ring = watch.poll()
    assert ring is not None and ring.keys == (NEW, OLD)
    assert watch.poll() is None


def test_a_watch_goes_on_asking_while_the_file_is_away(home: Home) -> None:
    watch = RingWatch(home, "file:token.key")
    watch.read()
    (home.secrets / "token.key").unlink()
    for _ in range(2):
        with pytest.raises(ConfigError, match=r"token\.key"):
            watch.poll()
    write_private(home.secrets / "token.key", NEW)
    ring = watch.poll()
    assert ring is not None and ring.current == NEW


@pytest.mark.parametrize("text", [OLD.hex(), base64.b64encode(OLD).decode(), base64.urlsafe_b64encode(OLD).decode()])
def test_the_environment_gives_keys_in_any_usual_spelling(
    home: Home, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("CUSTODY_TOKEN_KEYS", f"{NEW.hex()},\n {text}")
    assert read_ring(home, "env:CUSTODY_TOKEN_KEYS").keys == (NEW, OLD)


def test_a_key_services_command_is_asked_without_a_shell(home: Home, tmp_path: Path) -> None:
    client = tmp_path / "kms.py"
    client.write_text("import sys; print(sys.argv[1]); print('6f' * 32)")
    reference = f"command:{sys.executable} {client} {NEW.hex()}"
    assert read_ring(home, reference).keys == (NEW, OLD)
    with pytest.raises(ConfigError, match="neither"):
        read_ring(home, f"command:{sys.executable} {client} '$(id)'")


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("file:", "a key is named"),
        ("vault:token", "a key is named"),
        ("file:absent.key", "absent.key"),
        ("file:../outside.key", "outside"),
        ("env:CUSTODY_NO_SUCH_VARIABLE", "holds no key"),
        ("command:/no/such/program", "FileNotFoundError"),
        ("command:'unclosed", "ValueError"),
        (f"command:{sys.executable} -c 'import sys; print(\"secretsecret\", file=sys.stderr); sys.exit(3)'", "with 3"),
        (f"command:{sys.executable} -c pass", "gave no key"),
    ],
)
def test_what_gives_no_key_is_a_clear_error(home: Home, reference: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        read_ring(home, reference)
    assert "secretsecret" not in str(caught.value)


def test_a_file_that_others_may_read_is_refused(home: Home) -> None:
    (home.secrets / "token.key").chmod(0o640)
    with pytest.raises(ConfigError, match="0600"):
        read_ring(home, "file:token.key")


def test_short_and_too_many_keys_are_refused(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEYS", b"short".hex())
    with pytest.raises(ConfigError, match=r"neither|32 bytes"):
        read_ring(home, "env:KEYS")
    monkeypatch.setenv("KEYS", " ".join(bytes([n] * 32).hex() for n in range(MAX_KEYS + 1)))
    with pytest.raises(ConfigError, match="more than"):
        read_ring(home, "env:KEYS")


def test_errors_and_reprs_show_no_key() -> None:
    ring = KeyRing([OLD, NEW])
    assert repr(ring) == "KeyRing(2 keys)"
    assert len(set(ring.names)) == 2 and OLD.hex() not in " ".join(ring.names)
    with pytest.raises(ConfigError) as caught:
        parse_keys("%%secret%%", "it")
    assert "secret" not in str(caught.value)
