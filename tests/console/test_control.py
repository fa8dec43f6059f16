"""Against the real broker: what is written is read back, and only what differs is written."""

import socket

import pytest

from console import control
from schemas.config import Settings
from schemas.errors import ConfigError, Unreachable
from schemas.events import ControlKind
from schemas.runtime import Home
from tests.support.homes import write_settings

KIND = ControlKind.RETENTION_CLASS


def test_only_what_differs_is_a_change() -> None:
    wanted: control.Wanted = {(KIND, "a"): {"x": 1, "y": 2}, (KIND, "b"): {"x": 1}, (KIND, "c"): {}, (KIND, "d"): None}
    present = {(KIND, "a"): {"y": 2, "x": 1}, (KIND, "b"): {"x": 2}, (KIND, "d"): {"x": 1}}
    changes = control.plan_changes(wanted, {key: present.get(key) for key in wanted})
    assert [(change.id, change.action) for change in changes] == [("b", "changed"), ("d", "removed")]


def test_written_entries_are_read_back_and_not_written_again(home: Home) -> None:
    place = control.find_place()
    wanted: control.Wanted = {(KIND, "console-test"): {"max_age_days": 3}}
    with control.open_view(place) as view:
        changes = control.plan(wanted, view)
        assert [(change.id, change.action) for change in changes] == [("console-test", "added")]
        control.write_changes(place, changes, view)
        assert view.get(KIND, "console-test") == {"max_age_days": 3}
        assert control.plan(wanted, view) == []


def test_without_a_home_the_error_says_what_to_do(tmp_path) -> None:  # type: ignore[no-untyped-def]
    place = control.Place(Home(tmp_path / "none"), Settings())
    with pytest.raises(ConfigError, match="custody up"), control.open_view(place):
        pass


def test_without_a_broker_the_error_names_it(bare_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "TIMEOUT_S", 1.0)
    write_settings(bare_home, kafka={"bootstrap": "127.0.0.1:1"})
    with pytest.raises(Unreachable, match=r"127\.0\.0\.1:1"), control.open_view(control.find_place()):
        pass


def test_without_the_embedded_broker_nobody_waits(bare_home: Home) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    write_settings(bare_home, ports={"kafka": port})
    with pytest.raises(Unreachable, match=rf"127\.0\.0\.1:{port} does not answer"):
        control.require_broker(control.find_place())
    with pytest.raises(Unreachable, match="does not answer"), control.open_view(control.find_place()):
        pass
