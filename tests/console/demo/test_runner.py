"""The whole thing: the embedded stack with every part, the sample agent, and the commands a person uses with it."""

import json
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from schemas.runtime import ENV_HOME, Home
from tests.console.conftest import Run
from tests.support.stack import find_processes, make_stack_home


@pytest.fixture
def stack_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    """A home with free ports and nothing running; whatever runs at the end is stopped."""
    from deploy.embedded import stack

    home = make_stack_home(tmp_path_factory.mktemp("stack"))
    monkeypatch.setenv(ENV_HOME, str(home.root))
    monkeypatch.delenv("CUSTODY_CONFIG", raising=False)
    yield home
    stack.down(home)
    assert find_processes(home) == {}


def test_demo_and_the_commands_around_it(custody: Run, stack_home: Home, tmp_path: Path) -> None:
    answer = custody("demo", "--keep")
    assert answer.code == 0, answer.out + answer.err
    for words in ("The trail of run demo-", "$ custody replay ", "‹payment_card:", "ok  completeness: holds",
                  "The demo is complete: everything holds."):  # fmt: skip
        assert words in answer.out, words

    status = json.loads(custody("status", "--json").out)
    assert {part["health"] for part in status["parts"]} == {"up"}
    assert custody("doctor").code == 0
    assert custody("resource", "test", "demo-postgres").code == 0

    url = custody("connect", "demo-postgres", "--run-id", "by-hand").out.strip()
    with psycopg.connect(url, autocommit=True) as connection:
        assert connection.execute("SELECT 41 + %s", (1,)).fetchone() == (42,)
    again = custody("demo")
    assert again.code == 0, again.out + again.err
    (by_hand,) = map(json.loads, custody("sessions", "--run-id", "by-hand", "--json").out.splitlines())
    assert "$1 = 1" in custody("replay", by_hand["session_id"]).out
    assert custody("verify").code == 0

    assert custody("up").code == 0  # what runs already stays
    assert custody("down").out == "stopped\n"
    assert find_processes(stack_home) == {}
    assert custody("down").out == "nothing was running\n"
    stopped = custody("status")
    assert stopped.code == 1
    assert "down" in stopped.out
