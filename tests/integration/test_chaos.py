"""kill -9 of each process at random moments under load: what was answered is in ClickHouse once, without holes."""

import asyncio
import os
import random
from collections.abc import Iterator

import psycopg
import pytest

from console.commands.verify import check
from console.verification import verdicts_exit_code
from tests.integration.agents import AGENTS, TABLE, Ledger, run_agents
from tests.integration.live import READY_TIMEOUT_S, Live, run_live
from tests.integration.record_checks import SHOWN, find_faults

TARGETS = (
    "proxy-tcp", "proxy-http", "kafka", "worker-mask", "worker-detect", "worker-retain", "sink-clickhouse",
    "sink-siem", "store",
)  # fmt: skip
SERVED = 10
"""Answers that each agent must get before the first kill, and after the last."""
LONGEST_PAUSE_S = 4.0
TWO_AT_ONCE = 0.3
"""How often a second process is killed in the same round."""


@pytest.fixture
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with run_live(tmp_path_factory.mktemp("chaos")) as running:
        yield running


def make_plan(rounds: int, chance: random.Random) -> list[tuple[tuple[str, ...], float]]:
    """For each round what is killed, every target before any again, and the pause before it."""
    order = [target for _ in range(-(-rounds // len(TARGETS))) for target in chance.sample(TARGETS, len(TARGETS))]
    plan = []
    for target in order[:rounds]:
        others = [other for other in TARGETS if other != target]
        more = (chance.choice(others),) if chance.random() < TWO_AT_ONCE else ()
        plan.append(((target, *more), chance.uniform(0.1, LONGEST_PAUSE_S)))
    return plan


async def kill_all_in_turn(live: Live, ledger: Ledger, plan: list[tuple[tuple[str, ...], float]]) -> None:
    """A target that is still down from an earlier round is waited for: each round really kills."""
    await wait_for(lambda: ledger.has_reached([SERVED] * AGENTS), "not every agent is served")
    for number, (targets, pause_s) in enumerate(plan, 1):
        await wait_for(lambda target=targets[0]: live.is_serving(target), f"{targets[0]} did not come back")
        await asyncio.sleep(pause_s)
        killed = [target for target in targets if live.kill(target)]
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
        faults = find_faults(store, ledger, written, live.raw_ends())
        verdicts = check(store)
    assert not faults, f"{len(faults)} faults with seed {seed}:\n" + "\n".join(faults[: 4 * SHOWN])
    assert verdicts_exit_code(verdicts) == 0, (seed, verdicts)


@pytest.mark.timeout(400)
async def test_every_acknowledged_action_is_stored_once_through_ten_kills(live: Live) -> None:
    await hold_through_kills(live, 10)


@pytest.mark.soak
@pytest.mark.timeout(1200)
async def test_every_acknowledged_action_is_stored_once_through_thirty_kills(live: Live) -> None:
    await hold_through_kills(live, 30)
