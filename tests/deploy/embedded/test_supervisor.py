"""What the supervisor decides, and what it does with parts that die early. The whole is in test_stack.py."""

import sys
from pathlib import Path

import pytest

from deploy.embedded.parts import PARTS, ModuleRunner, Part, part_env
from deploy.embedded.process import PortTaken, StackError, spawn
from deploy.embedded.supervisor import (
    FIRST_START_ATTEMPTS,
    LAST_BACKOFF_S,
    READY_TIMEOUT_S,
    Phase,
    Slot,
    Step,
    Supervisor,
    backoff_s,
    decide_step,
    lock_home,
    make_levels,
    require_free_ports,
)
from schemas.config import Ports, Settings
from schemas.runtime import Home, read_run_state


def slot(phase: Phase, since: float = 0.0, not_before: float = 0.0) -> Slot:
    runner = ModuleRunner(Home(Path("nowhere")), "part", ("part",))
    return Slot(Part("part", lambda settings, home: runner), runner, phase, since, not_before)


@pytest.mark.parametrize(
    ("phase", "now", "is_alive", "is_ready", "are_needs_ready", "step"),
    [
        (Phase.WAITING, 1, False, False, True, Step.LAUNCH),
        (Phase.WAITING, 1, False, False, False, Step.NOTHING),
        (Phase.FAILED, 5, False, False, True, Step.NOTHING),
        (Phase.FAILED, 10, False, False, True, Step.LAUNCH),
        (Phase.STARTING, 10, True, False, True, Step.NOTHING),
        (Phase.STARTING, 10, True, True, True, Step.SETTLE),
        (Phase.STARTING, 9, True, True, True, Step.NOTHING),
        (Phase.STARTING, 10, False, False, True, Step.LOST),
        (Phase.STARTING, READY_TIMEOUT_S + 1, True, False, True, Step.TIMED_OUT),
        (Phase.READY, 10, True, False, False, Step.NOTHING),
        (Phase.READY, 10, False, False, True, Step.LOST),
    ],
)
def test_decide_step(
    phase: Phase, now: float, is_alive: bool, is_ready: bool, are_needs_ready: bool, step: Step
) -> None:
    not_before = 10 if phase in (Phase.FAILED, Phase.STARTING) else 0
    assert decide_step(slot(phase, not_before=not_before), now, is_alive, is_ready, are_needs_ready) is step


def test_backoff_grows_to_a_limit() -> None:
    waits = [backoff_s(failures) for failures in range(1, 1000)]
    assert waits == sorted(waits)
    assert waits[0] < 1
    assert waits[-1] == LAST_BACKOFF_S


def test_levels_start_after_what_they_need() -> None:
    levels = make_levels(PARTS)
    place = {name: number for number, level in enumerate(levels) for name in level}
    assert set(place) == {part.name for part in PARTS}
    for part in PARTS:
        assert all(place[need] < place[part.name] for need in part.needs)
    assert make_levels([]) == []


def test_parts_need_only_parts_before_them_and_ports_are_settings() -> None:
    seen: set[str] = set()
    for part in PARTS:
        assert set(part.needs) <= seen
        assert set(part.ports) <= set(Ports.model_fields)
        seen.add(part.name)
    require_free_ports(Settings(ports=Ports(**{name: 0 for name in Ports.model_fields})), PARTS)


def test_one_supervisor_a_home(bare_home: Home) -> None:
    first = lock_home(bare_home)
    assert first is not None
    with first:
        assert lock_home(bare_home) is None
    again = lock_home(bare_home)
    assert again is not None
    again.close()


class ScriptRunner(ModuleRunner):
    """A part that is a line of Python."""

    def __init__(self, home: Home, script: str) -> None:
        super().__init__(home, "script", ("unused",))
        self.script = script

    def launch(self):  # type: ignore[no-untyped-def]
        argv = [sys.executable, "-c", self.script]
        self.child = spawn(argv, log_path=self.home.logs / "script.log", env=part_env(self.home, "script"))
        return self.child


def test_the_first_start_gives_up_with_the_reason(bare_home: Home) -> None:
    runner = ScriptRunner(bare_home, "print('no such table'); raise SystemExit(7)")
    held = Slot(Part("script", lambda settings, home: runner), runner)
    supervisor = Supervisor(bare_home, Settings(), [held])
    with pytest.raises(StackError, match=r"script exited with 7: no such table \(see .*script.log\)"):
        supervisor.run()
    assert held.failures == FIRST_START_ATTEMPTS
    assert (bare_home.logs / "script.log").read_text().count("no such table") == FIRST_START_ATTEMPTS
    assert read_run_state(bare_home, "script") is None


def test_a_taken_port_is_not_tried_again(bare_home: Home) -> None:
    class TakenRunner(ScriptRunner):
        def launch(self):  # type: ignore[no-untyped-def]
            raise PortTaken("script: port 1 is taken")

    runner = TakenRunner(bare_home, "")
    held = Slot(Part("script", lambda settings, home: runner), runner)
    with pytest.raises(PortTaken):
        Supervisor(bare_home, Settings(), [held]).run()
    assert held.failures == 0
