"""Only processes that say themselves that they belong to the home are stopped."""

import os
import sys
from pathlib import Path

from deploy.embedded.orphans import find_orphans, stop_orphans
from deploy.embedded.parts import part_env
from deploy.embedded.process import spawn, stop
from schemas.runtime import Home, RunState, write_run_state

SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]


def test_the_caller_is_no_orphan(bare_home: Home, tmp_path: Path) -> None:
    script = (
        "import os, sys\n"
        "from deploy.embedded.orphans import find_orphans\n"
        "from schemas.runtime import Home, RunState, find_home, write_run_state\n"
        "write_run_state(Home(find_home()), RunState('supervisor', os.getpid()))\n"
        "sys.exit(len(find_orphans(Home(find_home()))))"
    )
    child = spawn([sys.executable, "-c", script], log_path=tmp_path / "log", env=part_env(bare_home, "supervisor"))
    assert child.wait(30) == 0, (tmp_path / "log").read_text()


def test_a_left_process_is_stopped_and_strangers_are_not(bare_home: Home, tmp_path: Path) -> None:
    ours = spawn(SLEEP, log_path=tmp_path / "log", env=part_env(bare_home, "proxy-tcp"))
    other_home = spawn(SLEEP, log_path=tmp_path / "log", env=part_env(Home(tmp_path / "else"), "kafka"))
    other_part = spawn(SLEEP, log_path=tmp_path / "log", env=part_env(bare_home, "store"))
    try:
        write_run_state(bare_home, RunState("proxy-tcp", ours.pid))
        write_run_state(bare_home, RunState("kafka", other_home.pid))
        # A pid in a run file may have been given to another process since; the test's own has no part at all.
        write_run_state(bare_home, RunState("worker-mask", other_part.pid))
        write_run_state(bare_home, RunState("demo-http", os.getpid()))
        write_run_state(bare_home, RunState("demo-postgres", 2**22 + 1))
        assert [process.pid for process in find_orphans(bare_home)] == [ours.pid]
        stop_orphans(bare_home)
        assert find_orphans(bare_home) == []
        assert (other_home.poll(), other_part.poll()) == (None, None)
        assert ours.wait(10) is not None
    finally:
        for child in (ours, other_home, other_part):
            stop(child)
