"""Without a running stack; with one, tests/console/demo/test_runner.py goes through the same commands."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from console import control
from console.commands.stack import is_up
from schemas.runtime import ENV_HOME, RunState, write_run_state
from tests.console.conftest import Run
from tests.support.stack import find_processes, make_stack_home


@pytest.fixture(autouse=True)
def stack_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    home = make_stack_home(tmp_path)
    monkeypatch.setenv(ENV_HOME, str(home.root))
    monkeypatch.delenv("CUSTODY_CONFIG", raising=False)
    return home


def test_nothing_runs(custody: Run) -> None:
    assert custody("down").out == "nothing was running\n"
    answer = custody("status", "--json")
    assert answer.code == 1
    document = json.loads(answer.out)
    assert {part["health"] for part in document["parts"]} == {"down"}
    assert any("uid are trusted" in limit for limit in document["limits"])


def test_where_nothing_was_set_up_status_says_so(custody: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENV_HOME, str(tmp_path / "never"))
    assert "run `custody up`" in " ".join(custody("status").out.split())


def test_up_is_told_by_a_live_supervisor_that_is_ready(stack_home) -> None:  # type: ignore[no-untyped-def]
    place = control.find_place()
    assert not is_up(place)
    stack_home.run.mkdir()
    write_run_state(stack_home, RunState("supervisor", os.getpid(), is_ready=False))
    assert not is_up(place)
    write_run_state(stack_home, RunState("supervisor", os.getpid(), is_ready=True))
    assert is_up(place)
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    write_run_state(stack_home, RunState("supervisor", done.pid, is_ready=True))
    assert not is_up(place)


def test_a_bad_file_is_said_before_anything_starts(custody: Run, stack_home) -> None:  # type: ignore[no-untyped-def]
    (stack_home.root / "custody.yaml").write_text("ports: {kafka: high}\n")
    answer = custody("up")
    assert answer.code == 2
    assert answer.err.startswith("custody: custody.yaml: ports.kafka: ")
    assert find_processes(stack_home) == {}
