"""Rotation through the console: what is in use, what is kept, and what cannot be rotated here."""

import pytest

from console.control import Place, find_place
from console.key_rotation import list_keys, rotate_token, rotate_unseal
from schemas.errors import ConfigError
from schemas.runtime import Home
from tests.support.homes import write_settings


def place_of(home: Home, **settings: object) -> Place:
    write_settings(home, **settings)
    return find_place()


def test_a_token_key_is_rotated_and_the_old_one_kept(bare_home: Home) -> None:
    place = place_of(bare_home)
    before = bare_home.read_key("token.key")
    rotated = rotate_token(place)
    assert bare_home.read_key("token.key") != before == bare_home.read_key(rotated.kept)
    shown = [(info.name, info.state) for info in list_keys(place) if info.purpose == "token"]
    assert shown[0] == (rotated.name, "in use") and [state for _, state in shown] == ["in use", "older"]


def test_an_unsealing_key_becomes_what_the_settings_say(bare_home: Home) -> None:
    place = place_of(bare_home, sealing={"kem": "mlkem768-x25519"})
    before = bare_home.unseal_public()
    rotated = rotate_unseal(place)
    public = bare_home.unseal_public()
    assert (public.kem.name, public.id) == ("mlkem768-x25519", rotated.name)
    assert bare_home.unseal_key().public_key() == public
    shown = [(info.name, info.kind, info.state) for info in list_keys(place) if info.purpose == "unseal"]
    assert shown == [(public.id, "mlkem768-x25519", "in use"), (before.id, "x25519", "older")]


def test_keys_from_elsewhere_are_rotated_there(bare_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN_KEYS", "6b" * 32)
    place = place_of(bare_home, masking={"token_key": "env:TOKEN_KEYS"})
    with pytest.raises(ConfigError, match=r"masking\.token_key comes from env"):
        rotate_token(place)
    (info,) = [info for info in list_keys(place) if info.purpose == "token"]
    assert info.source == "env" and "TOKEN_KEYS" not in repr(info)
