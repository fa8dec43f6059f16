"""`custody demo`, step by step: stack, agent, trail, replay, checks."""

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import click

from console import control, credentials, queries
from console.commands.connect import find_http_proxy
from console.commands.stack import is_up, start_stack
from console.commands.verify import check
from console.commands.verify import render as render_verdict
from console.demo.canaries import Canaries, make_canaries
from console.demo.checks import Check, check_absent, check_once, check_outcomes, check_tokens
from console.demo.executor import Access, Done, execute
from console.demo.plan import make_plan
from console.events import Row, row_from
from console.output import format_duration, format_time, one_line
from console.probes import proxy_address
from console.replay import render, render_header
from console.store import Store, open_store
from console.table import print_table
from console.verification import verdicts_exit_code
from schemas.events import ControlKind, EventKind
from schemas.resources import Delegate, Resource

PRINCIPAL: Final = "dana@example.com"
AGENT: Final = "refund-executor"
PLANNER: Final = "refund-planner"
TTL: Final = timedelta(minutes=15)
VISIBLE_TIMEOUT_S: Final = 60.0
POLL_S: Final = 0.2
RESOURCES: Final = ("demo-postgres", "demo-http")


@dataclass(frozen=True, slots=True)
class Trail:
    """What the store has of the demo's run."""

    sessions: list[dict[str, Any]]
    rows: list[Row]


def run_demo(place: control.Place) -> int:
    """Run the agent, show its trail, check it. The exit code. The stack must serve."""
    canaries = make_canaries()
    with control.open_view(place) as view:
        access = prepare(place, {name: control.require_resource(view, name) for name in RESOURCES})
    done = act(access, canaries)
    with open_store(place) as store:
        trail = wait_for_trail(store, access.run_id, done)
        show_trail(trail, access.run_id)
        show_replay(store, trail)
        return report(place, store, access.run_id, canaries, done, trail)


def prepare(place: control.Place, resources: dict[str, Resource]) -> Access:
    """A credential of this run's own, for both resources, on behalf of a person through a planner."""
    run_id = f"demo-{secrets.token_hex(4)}"
    issued = credentials.issue(
        place.home,
        principal=PRINCIPAL,
        agent=AGENT,
        resources=list(resources),
        ttl=TTL,
        run_id=run_id,
        delegation=[Delegate(actor=PLANNER, on_behalf_of=PRINCIPAL), Delegate(actor=AGENT, on_behalf_of=PLANNER)],
    )
    control.put_entry(place, ControlKind.CREDENTIAL, issued.credential.id, issued.credential.model_dump(mode="json"))
    login = f"{issued.credential.id}:{issued.secret}"
    postgres, api = resources["demo-postgres"], resources["demo-http"]
    api_host, api_port = proxy_address(place, api)
    proxy_host, proxy_port = find_http_proxy(place.home, place.settings)
    return Access(
        run_id=run_id,
        postgres_url=credentials.make_url(postgres, issued, *proxy_address(place, postgres), place.settings),
        api_url=f"http://{api_host}:{api_port}",
        login=login,
        proxy_url=f"http://{login}@{proxy_host}:{proxy_port}",
        web_url=f"http://{api.upstream.host}:{api.upstream.port}",
    )


def act(access: Access, canaries: Canaries) -> list[Done]:
    """Plan, then execute; one line a step."""
    plan = make_plan(canaries)
    click.echo(
        f"\n{PLANNER} made a plan of {len(plan)} steps for {PRINCIPAL}; {AGENT} does them (run {access.run_id})\n"
    )
    done = []
    for item in execute(access, plan):
        done.append(item)
        mark = "ok " if item.is_as_planned else "BAD"
        step = item.step
        click.echo(f"  {mark} {step.number:>2} {step.tool:<3} {step.purpose:<27} -> {item.outcome} {item.seen}")
    return done


def wait_for_trail(store: Store, run_id: str, done: Sequence[Done]) -> Trail:
    """Wait until every session of the run is closed in the store. What is there at the timeout is returned."""
    deadline = time.monotonic() + VISIBLE_TIMEOUT_S
    started = time.monotonic()
    while True:
        sessions = store.rows(queries.RUN_SESSIONS, {"run_id": run_id})
        rows = [row_from(record) for record in store.rows(queries.RUN_EVENTS, {"run_id": run_id})]
        if is_complete(sessions, rows, len(done)) or time.monotonic() > deadline:
            break
        time.sleep(POLL_S)
    took = format_duration(int((time.monotonic() - started) * 1_000_000))
    click.echo(f"\n{len(rows)} events in {len(sessions)} sessions are in the store, after {took}")
    return Trail(sessions, rows)


def is_complete(sessions: Sequence[dict[str, Any]], rows: Sequence[Row], actions: int) -> bool:
    """Whether as many outcomes as actions are there and every session is closed."""
    outcomes = sum(row.kind == EventKind.ACTION_COMPLETED for row in rows)
    return outcomes >= actions and bool(sessions) and all(session["state"] != "opened" for session in sessions)


def show_trail(trail: Trail, run_id: str) -> None:
    """The agent's actions as a table: one line each, request and outcome together."""
    outcomes = {row.action_id: row for row in trail.rows if row.kind == EventKind.ACTION_COMPLETED}
    lines = []
    for row in trail.rows:
        if row.kind == EventKind.ACTION_REQUESTED:
            outcome = outcomes.get(row.action_id)
            lines.append(
                (
                    format_time(row.at)[11:],
                    row.resource,
                    row.operation,
                    one_line(row.statement, 90),
                    row.verdict,
                    outcome.status if outcome else "",
                    outcome.rows if outcome else "",
                    format_duration(outcome.duration_us) if outcome else "",
                )
            )
    columns = ("at", "resource", "operation", "statement", "verdict", "status", "rows", "took")
    print_table(columns, lines, title=f"The trail of run {run_id}")


def show_replay(store: Store, trail: Trail) -> None:
    """One session, as `custody replay` shows it."""
    chosen = next((session for session in trail.sessions if session["resource"] == "demo-postgres"), None)
    if chosen is None:
        return
    session_id = chosen["session_id"]
    click.echo(f"$ custody replay {session_id}")
    click.echo("\n".join(render_header(store.one(queries.SESSION, {"session": session_id}))) + "\n")
    for row in sorted((row for row in trail.rows if row.session_id == session_id), key=lambda row: row.seq):
        click.echo("\n".join(render(row)))


def report(
    place: control.Place, store: Store, run_id: str, canaries: Canaries, done: Sequence[Done], trail: Trail
) -> int:
    """Run the checks and `verify`; 0 when all is well, else 1."""
    records = store.rows(queries.RUN_EVERYTHING, {"run_id": run_id}, as_bytes=True)
    checks = [
        check_outcomes(done),
        check_once(run_id, done, trail.rows),
        check_absent(canaries, records),
        check_tokens(trail.rows),
    ]
    click.echo("\nChecks")
    for item in checks:
        show_check(item)
    verdicts = check(store, place)
    click.echo("\n$ custody verify")
    for verdict in verdicts:
        click.echo("\n".join(render_verdict(verdict)))
    is_fine = all(item.is_fine for item in checks) and verdicts_exit_code(verdicts) == 0
    click.echo("\nThe demo is complete: everything holds." if is_fine else "\nThe demo FAILED: see above.")
    return 0 if is_fine else 1


def show_check(check: Check) -> None:
    """A check as a line, its faults below."""
    click.echo(f"  {'ok ' if check.is_fine else 'BAD'} {check.name}{f' ({check.detail})' if check.detail else ''}")
    for fault in check.faults[:20]:
        click.echo(f"        {fault}")


def with_stack(place: control.Place, keep: bool) -> int:
    """Run the demo on a running stack, or on one that is started for it and stopped again."""
    from deploy.embedded import stack

    was_up = is_up(place)
    if not was_up:
        click.echo("starting the embedded stack (the first time it fetches archives)")
    try:
        start_stack(place)
        return run_demo(place)
    finally:
        if not was_up and not keep:
            click.echo("stopping the embedded stack; `custody demo --keep` leaves it running")
            stack.down(place.home)
