"""What waits for a second person: once, for a week, and as it was asked for."""

import json
import os

import pytest

from console import requests as module
from console.requests import approve_request, drop_request, find_request, keep_request, list_requests
from schemas.errors import ConfigError
from schemas.runtime import Home


def test_it_waits_until_somebody_else_approves_it_once(bare_home: Home) -> None:
    request = keep_request(bare_home, "erase", "ann", {"session": "s1"})
    assert list_requests(bare_home) == [request] == [find_request(bare_home, request.id, "erase")]
    for name in ("ann", " ANN ", ""):
        with pytest.raises(ConfigError), approve_request(bare_home, request, name):
            raise AssertionError
    with approve_request(bare_home, request, "bob"):
        assert list_requests(bare_home) == []
        with pytest.raises(ConfigError, match="is over"), approve_request(bare_home, request, "cid"):
            raise AssertionError
    assert list_requests(bare_home) == [] and list((bare_home.root / "requests").iterdir()) == []


def test_what_fails_waits_again(bare_home: Home) -> None:
    request = keep_request(bare_home, "hold", "ann", {})
    with pytest.raises(RuntimeError), approve_request(bare_home, request, "bob"):
        raise RuntimeError
    assert list_requests(bare_home) == [request]
    drop_request(bare_home, request)
    assert list_requests(bare_home) == []


def test_what_was_changed_after_it_was_shown_is_not_approved(bare_home: Home) -> None:
    request = keep_request(bare_home, "hold", "ann", {"id": "a"})
    path = bare_home.root / "requests" / f"{request.id}.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"values": {"id": "b"}}))
    with pytest.raises(ConfigError, match="has changed"), approve_request(bare_home, request, "bob"):
        raise AssertionError
    assert find_request(bare_home, request.id, "hold").values == {"id": "b"}


def test_after_a_week_it_is_gone(bare_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    request = keep_request(bare_home, "hold", "ann", {})
    monkeypatch.setattr(module, "now_us", lambda: request.at + module.LIFETIME_US + 1)
    with pytest.raises(ConfigError, match="more than a week old"):
        find_request(bare_home, request.id, "hold")
    assert list((bare_home.root / "requests").iterdir()) == []


def test_another_kind_or_a_hostile_name_is_not_found(bare_home: Home) -> None:
    request = keep_request(bare_home, "hold", "ann", {})
    for id, kind in ((request.id, "erase"), ("../../login", "hold"), ("", "hold")):
        with pytest.raises(ConfigError, match="no request"):
            find_request(bare_home, id, kind)


@pytest.mark.parametrize("text", ["{", "[]", '{"id": "x"}', '{"id":"x","what":"hold","by":1,"at":"x","values":{}}'])
def test_what_cannot_be_read_is_told(bare_home: Home, text: str) -> None:
    request = keep_request(bare_home, "hold", "ann", {})
    path = bare_home.root / "requests" / f"{request.id}.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match="cannot be read"):
        list_requests(bare_home)
    os.chmod(path, 0o644)
    with pytest.raises(ConfigError, match="0600"):
        list_requests(bare_home)
