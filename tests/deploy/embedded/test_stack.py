"""`up`, `down` and `status` with real servers: in order, again, after kills, and with nothing left behind."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import yaml

from deploy.embedded import stack
from deploy.embedded.lag import Lag
from deploy.embedded.process import LOOPBACK, StackError
from schemas.config import find_settings
from schemas.errors import ConfigError
from schemas.events import ControlKind
from schemas.runtime import Home, RunState, read_run_state
from schemas.wire.control import ControlView
from tests.support.ports import get_free_port
from tests.support.stack import find_processes, make_stack_home

PARTS = ("kafka", "demo-postgres", "demo-http")
LIGHT = ("demo-postgres", "demo-http")
WAIT_S = 60


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def pids(home: Home) -> dict[str, int]:
    return {part.name: part.pid for part in stack.status(home) if part.is_ready}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    home = make_stack_home(tmp_path_factory.mktemp("stack"))
    try:
        stack.up(home, say=lambda line: None, parts=PARTS)
        yield home
    finally:
        stack.down(home)
        assert find_processes(home) == {}


@pytest.fixture
def light(tmp_path: Path) -> Iterator[Home]:
    """A stack's home that is not up; tests use only its light parts."""
    home = make_stack_home(tmp_path)
    yield home
    stack.down(home)
    assert find_processes(home) == {}


def test_status_shows_each_part(running: Home) -> None:
    parts = stack.status(running)
    assert tuple(part.name for part in parts) == PARTS
    for part in parts:
        assert part.is_ready
        assert part.health == "up"
        assert psutil.pid_exists(part.pid)
        assert part.ports
    assert "kill -9" in stack.describe_limits(find_settings(running))[0]


def test_an_alarm_is_no_health() -> None:
    run = RunState("worker-mask", os.getpid(), True, detail={"alarms": {"raw[1]": "no key"}, "rows": 3, "stages": {}})
    shown = stack.describe_part("worker-mask", run, {"restarts": 2}, Lag(7))
    assert (shown.health, shown.lag) == ("alarm", 7)
    assert shown.detail == "restarted 2x; raw[1]: no key; rows: 3"
    waiting = replace(run, detail={"alarms": {}, "waiting": "store: refused"})
    assert stack.describe_part("sink-siem", waiting, {}, None).detail == "waits: store: refused"
    gone = RunState("store", 2**22 + 1, True)
    assert stack.describe_part("store", gone, {"phase": "failed"}, None).health == "restarting"
    assert stack.describe_part("store", None, {}, None).health == "down"


def test_a_second_up_finds_all_running(running: Home) -> None:
    before, said = pids(running), list[str]()
    stack.up(running, say=said.append, parts=PARTS)
    assert pids(running) == before
    assert sorted(said) == sorted(f"{name} ready" for name in PARTS)


def test_control_holds_the_keys_and_the_demo_resources(running: Home) -> None:
    settings = find_settings(running)
    view = ControlView(settings, running, "proxy")
    view.start()
    try:
        assert set(view.all(ControlKind.PROXY_KEY)) == {"proxy-tcp", "proxy-http", "api", "keyholder"}
        assert view.all(ControlKind.WRITER_KEY)["detect"]["kinds"] == ["quarantine"]
        resources = view.all(ControlKind.RESOURCE)
        assert resources["demo-postgres"]["upstream"]["port"] == settings.ports.demo_postgres
        assert resources["demo-http"]["listen"] == settings.ports.demo_http_proxy
    finally:
        view.close()


@pytest.mark.parametrize("name", PARTS)
def test_a_killed_part_comes_back(running: Home, name: str) -> None:
    before = pids(running)
    psutil.Process(before[name]).kill()
    wait_for(lambda: pids(running).get(name) not in (None, before[name]))
    after = pids(running)
    assert {part for part in PARTS if after[part] != before[part]} == {name}
    shown = next(part for part in stack.status(running) if part.name == name)
    assert "restarted" in shown.detail


def test_down_stops_all_keeps_data_and_up_goes_on(light: Home) -> None:
    stack.up(light, say=lambda line: None, parts=LIGHT)
    assert len(find_processes(light)) >= 3
    assert stack.down(light)
    assert find_processes(light) == {}
    assert not stack.down(light)
    made = (light.root / "postgres/data/PG_VERSION").stat().st_mtime_ns
    stack.up(light, say=lambda line: None, parts=LIGHT)
    assert (light.root / "postgres/data/PG_VERSION").stat().st_mtime_ns == made
    assert {part.health for part in stack.status(light)} == {"up"}
    stack.down(light)
    assert {part.health for part in stack.status(light)} == {"down"}


def test_taken_ports_are_all_named_and_nothing_runs(light: Home) -> None:
    ports = find_settings(light).ports
    with (
        socket.create_server((LOOPBACK, ports.demo_postgres)),
        socket.create_server((LOOPBACK, ports.demo_http)),
        pytest.raises(StackError) as caught,
    ):
        stack.up(light, say=lambda line: None, parts=LIGHT)
    for port, name in ((ports.demo_postgres, "demo_postgres"), (ports.demo_http, "demo_http")):
        assert f"port {port} on 127.0.0.1 is taken" in str(caught.value)
        assert f"ports.{name} in custody.yaml" in str(caught.value)
    assert find_processes(light) == {}


def test_a_part_that_cannot_start_fails_the_whole_and_leaves_nothing(light: Home) -> None:
    (light.root / "postgres").mkdir()
    (light.root / "postgres/data").mkdir()
    with pytest.raises(StackError, match="demo-postgres exited with"):
        stack.up(light, say=lambda line: None, parts=LIGHT)
    assert find_processes(light) == {}


def test_bad_settings_are_said_before_anything_starts(light: Home) -> None:
    (light.root / "custody.yaml").write_text("ports: {kafka: -1, colour: red}\n")
    with pytest.raises(ConfigError, match=r"ports\.kafka(.|\n)*ports\.colour"):
        stack.up(light, say=lambda line: None, parts=LIGHT)
    write_back = {"ports": {"demo_http": get_free_port(), "demo_postgres": get_free_port()}}
    (light.root / "custody.yaml").write_text(yaml.safe_dump(write_back))
    assert find_processes(light) == {}


@pytest.mark.parametrize("moment", ["the supervisor is new", "a part is new"])
def test_ctrl_c_while_it_starts_leaves_nothing(light: Home, moment: str) -> None:
    def has_come() -> bool:
        if moment == "a part is new":
            return read_run_state(light, "demo-postgres") is not None
        return any("embedded.supervisor" in command for command in find_processes(light).values())

    script = (
        "import pathlib, sys\n"
        "from deploy.embedded import stack\n"
        "from schemas.runtime import Home\n"
        f"stack.up(Home(pathlib.Path(sys.argv[1])), parts={LIGHT!r})"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(light.root)],
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        # A run in the background has SIGINT ignored, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as starting:
        wait_for(has_come)
        starting.send_signal(signal.SIGINT)
        starting.wait(WAIT_S)
    assert find_processes(light) == {}


def test_a_killed_supervisor_takes_all_along_and_up_works_again(light: Home) -> None:
    stack.up(light, say=lambda line: None, parts=LIGHT)
    state = read_run_state(light, "supervisor")
    assert state is not None
    psutil.Process(state.pid).kill()
    wait_for(lambda: find_processes(light) == {})
    assert {part.health for part in stack.status(light)} == {"down"}
    stack.up(light, say=lambda line: None, parts=LIGHT)
    assert {part.health for part in stack.status(light)} == {"up"}


def test_two_at_once_end_as_one(light: Home) -> None:
    script = (
        "import pathlib, sys\n"
        "from deploy.embedded import stack\n"
        "from schemas.runtime import Home\n"
        f"stack.up(Home(pathlib.Path(sys.argv[1])), parts={LIGHT!r})"
    )
    argv = [sys.executable, "-c", script, str(light.root)]
    both = [subprocess.Popen(argv, stderr=subprocess.DEVNULL) for _ in range(2)]
    assert [one.wait(WAIT_S) for one in both] == [0, 0]
    supervisors = [command for command in find_processes(light).values() if "supervisor" in command]
    assert len(supervisors) == 1
