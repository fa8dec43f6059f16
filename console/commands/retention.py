"""`custody retention`: what is kept how long, what goes when, and whether it went."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from console.output import EXIT_FINE, EXIT_UNDECIDED, EXIT_VIOLATION, print_json
from console.table import print_table

if TYPE_CHECKING:
    from console.control import Place
    from console.retention import Slice
    from console.store import Store


@click.group()
def retention() -> None:
    """Show what is kept how long, what goes when, and whether it went."""


@retention.command("status")
@click.option("--json", "as_json", is_flag=True)
def status(as_json: bool) -> None:
    """The classes with their ages and sources, and what the store holds of each."""
    from console.control import find_place
    from console.retention import describe_class
    from console.store import open_store

    place = find_place()
    with open_store(place) as store:
        slices = read_slices(store, place)
    rows = []
    ages = place.settings.retention.ages
    for name in sorted(ages.keys() | {item.retention_class for item in slices}):
        own = [item for item in slices if item.retention_class == name]
        oldest = min((item.day for item in own), default=None)
        rows.append(
            (*describe_class(name, ages.get(name)), len(own), sum(item.stored for item in own), str(oldest or ""))
        )
    columns = ("class", "kept at least", "gone after", "source", "days", "events", "oldest")
    if as_json:
        print_json([dict(zip(columns, row, strict=True)) for row in rows])
    else:
        print_table(columns, rows)


@retention.command("plan")
@click.option("--days", type=click.IntRange(0, 36_500), default=30, show_default=True, help="How far ahead.")
@click.option("--json", "as_json", is_flag=True)
def plan(days: int, as_json: bool) -> None:
    """Which days of which class go when."""
    from datetime import timedelta

    from console.control import find_place
    from console.store import open_store

    place = find_place()
    with open_store(place) as store:
        slices = read_slices(store, place)
    limit = datetime.now(UTC).date() + timedelta(days=days)
    coming = sorted((item.due, item) for item in slices if item.due is not None and item.due <= limit)
    rows = [(str(due), item.retention_class, str(item.day), item.stored) for due, item in coming]
    columns = ("due", "class", "day", "events")
    if as_json:
        print_json([dict(zip(columns, row, strict=True)) for row in rows])
    else:
        print_table(columns, rows)


@retention.command("run")
@click.option("--wait", type=click.FloatRange(0, 86_400), default=60.0, show_default=True, metavar="SECONDS")
@click.option("--json", "as_json", is_flag=True)
@click.pass_context
def run(ctx: click.Context, wait: float, as_json: bool) -> None:
    """Order every day away that is due and not ordered yet, and wait for what comes of it.

    The stack looks by itself, every `retention.interval_s`; this also finds days that it never saw. Exit code 1 when an
    order was refused, 2 when answers are missing after the wait.
    """
    from console.control import find_place
    from console.retention import ACTIONS, join_actions
    from console.retention_orders import order_due, send_orders, wait_for_answers
    from console.store import open_store

    place = find_place()
    with open_store(place) as store:
        classes = place.settings.retention.ages
        orders = order_due(read_slices(store, place), join_actions(store.rows(ACTIONS)), classes, datetime.now(UTC))
        send_orders(place, orders)
        answers = {item["order_id"]: item for item in wait_for_answers(store, orders, wait)} if orders else {}
    columns = ("order", "class", "day", "outcome", "rows", "reason")
    rows = []
    for order in orders:
        answer = answers.get(order.order_id, {"action": "open", "rows": 0, "reason": ""})
        rows.append(
            (order.order_id, order.retention_class, order.day, answer["action"], answer["rows"], answer["reason"])
        )
    if as_json:
        print_json([dict(zip(columns, row, strict=True)) for row in rows])
    elif rows:
        print_table(columns, rows)
    else:
        click.echo("nothing is due")
    outcomes = {row[3] for row in rows}
    ctx.exit(EXIT_VIOLATION if "refused" in outcomes else EXIT_UNDECIDED if "open" in outcomes else EXIT_FINE)


@retention.command("audit")
@click.option("--json", "as_json", is_flag=True)
@click.pass_context
def audit_command(ctx: click.Context, as_json: bool) -> None:
    """What was ordered and done, what is overdue. Exit code 1 when something is."""
    from console.control import find_place
    from console.retention import ACTIONS, audit, join_actions
    from console.store import open_store

    place = find_place()
    with open_store(place) as store:
        slices = read_slices(store, place)
        actions = join_actions(store.rows(ACTIONS))
    faults = audit(slices, actions, datetime.now(UTC))
    rows = [
        (item.order_id, item.retention_class, item.day, str(item.ordered_at or "no order"),
         item.outcome or "open", item.rows, item.reason)
        for item in actions
    ]  # fmt: skip
    columns = ("order", "class", "day", "ordered", "outcome", "rows", "reason")
    if as_json:
        print_json({"actions": [dict(zip(columns, row, strict=True)) for row in rows], "findings": faults})
    else:
        print_table(columns, rows)
        click.echo("\n".join(faults) if faults else "nothing is overdue")
    ctx.exit(EXIT_VIOLATION if faults else EXIT_FINE)


def read_slices(store: "Store", place: "Place") -> "list[Slice]":
    """What the store holds. Raises Unreachable, QueryFailed."""
    from console.retention import PARTITIONS, make_slices

    return make_slices(store.rows(PARTITIONS), place.settings.retention.ages)
