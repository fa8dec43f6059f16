"""kill -9 of each process at random moments under load: what was answered is in ClickHouse once, without holes."""

import asyncio
import os
import random
from collections.abc import Iterator
from dataclasses import dataclass

import psycopg
import pytest

from console.commands.verify import check
from console.verification import verdicts_exit_code
from tests.integration.agents import AGENTS, TABLE, Ledger, run_agents
from tests.integration.live import READY_TIMEOUT_S, Live, run_live
from tests.integration.record_checks import SHOWN, find_faults

TARGETS = (
    "proxy-tcp", "proxy-http", "kafka", "worker-mask", "keyholder", "worker-detect", "worker-retain", "sink-clickhouse",
    "sink-transparency", "witness", "sink-siem", "store",
)  # fmt: skip
SERVED = 10
"""Answers that each agent must get before the first kill, and after the last."""
LONGEST_PAUSE_S = 4.0
TWO_AT_ONCE = 0.3
"""How often a second process is killed in the same round."""
WHILE_DOWN = 0.25
"""How often a round does not wait until agents are served again."""


@pytest.fixture
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with run_live(tmp_path_factory.mktemp("chaos")) as running:
        yield running


@dataclass(frozen=True)
class Round:
    """What is killed, this long after there were answers again; or while the stack still gets up from the last kill."""

    targets: tuple[str, ...]
    pause_s: float
    has_answers: bool


def make_plan(rounds: int, chance: random.Random) -> list[Round]:
    """Every target before any again."""
    order = [target for _ in range(-(-rounds // len(TARGETS))) for target in chance.sample(TARGETS, len(TARGETS))]
    plan = []
    for target in order[:rounds]:
        others = [other for other in TARGETS if other != target]
        more = (chance.choice(others),) if chance.random() < TWO_AT_ONCE else ()
        plan.append(Round((target, *more), chance.uniform(0.1, LONGEST_PAUSE_S), chance.random() >= WHILE_DOWN))
    return plan


async def kill_all_in_turn(live: Live, ledger: Ledger, plan: list[Round]) -> None:
    """A target that is still down from an earlier round is waited for: each round really kills."""
    await wait_for(lambda: ledger.has_reached([SERVED] * AGENTS), "not every agent is served")
    for number, item in enumerate(plan, 1):
        if item.has_answers:
            wanted = len(ledger.acknowledged) + SERVED
            await wait_for(lambda wanted=wanted: len(ledger.acknowledged) >= wanted, "no agent is served")
        await asyncio.sleep(item.pause_s)
        first, *others = item.targets
        await wait_for(lambda first=first: live.kill(first), f"{first} did not come back")
        killed = [first, *filter(live.kill, others)]
        print(f"round {number}: killed {', '.join(killed)}; {len(ledger.acknowledged)} acknowledged", flush=True)


async def wait_for(condition: object, what: str) -> None:
    assert callable(condition)
    deadline = asyncio.get_running_loop().time() + READY_TIMEOUT_S
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, f"{what} within {READY_TIMEOUT_S:.0f} s"
        await asyncio.sleep(0.05)


async def hold_through_kills(live: Live, rounds: int) -> None:
    seed = int(os.environ.get("CHAOS_SEED") or random.SystemRandom().randrange(1 << 32))
    print(f"\nseed {seed} (CHAOS_SEED repeats it)", flush=True)
    ledger = Ledger()
    async with run_agents(live, ledger):
        await kill_all_in_turn(live, ledger, make_plan(rounds, random.Random(seed)))
        # Service resumes by itself, whatever was killed: every agent's door opens again.
        wanted = [count + SERVED for count in ledger.count_by_agent()]
        await wait_for(lambda: ledger.has_reached(wanted), "service did not resume for every agent")
    print(f"{len(ledger.tried)} tried, {len(ledger.acknowledged)} acknowledged, failures {ledger.failures}", flush=True)
    await asyncio.to_thread(live.wait_quiet)
    with psycopg.connect(live.upstream_postgres_url()) as upstream, live.store() as store:
        written = [mark for (mark,) in upstream.execute(f"SELECT mark FROM {TABLE}")]
        faults = find_faults(store.rows, ledger, written, live.raw_ends())
        verdicts = check(store, live.place)
    assert not faults, f"{len(faults)} faults with seed {seed}:\n" + "\n".join(faults[: 4 * SHOWN])
    assert verdicts_exit_code(verdicts) == 0, (seed, verdicts)


@pytest.mark.timeout(400)
async def test_every_acknowledged_action_is_stored_once_though_each_process_is_killed(live: Live) -> None:
    await hold_through_kills(live, len(TARGETS))


@pytest.mark.soak
@pytest.mark.timeout(1200)
async def test_every_acknowledged_action_is_stored_once_through_thirty_kills(live: Live) -> None:
    await hold_through_kills(live, 30)
