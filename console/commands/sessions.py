"""`custody sessions`: who was connected to what, when."""

from datetime import UTC, datetime, timedelta
from typing import Any

import click

from console.output import format_duration, print_json
from console.table import print_table
from console.times import Moment, check_span

STYLES = {"opened": "yellow", "lost": "red", "closed": "green"}


@click.command()
@click.option("--agent", default="", help="Only this agent.")
@click.option("--principal", default="", help="Only this principal.")
@click.option("--resource", default="", help="Only this resource.")
@click.option("--run-id", default="", help="Only this run.")
@click.option("--since", type=Moment(), default="7d", show_default=True, help="A time, or how long ago.")
@click.option("--until", type=Moment(), default=None, help="A time, or how long ago.")
@click.option("--text", default="", help="Words that all stand in one statement.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
@click.option("--all", "with_custody", is_flag=True, help="Custody's own sessions too.")
@click.option("--json", "as_json", is_flag=True, help="JSON Lines.")
def sessions(
    since: datetime, until: datetime | None, text: str, limit: int, with_custody: bool, as_json: bool, **filters: str
) -> None:
    """List sessions, newest first."""
    from console.control import find_place
    from console.reading import list_sessions
    from console.store import open_store

    check_span(since, until)
    with open_store(find_place()) as store:
        records = list_sessions(
            store,
            since_us=to_us(since),
            until_us=to_us(until or datetime.now(UTC) + timedelta(days=1)),
            limit=limit,
            with_custody=with_custody,
            text=text,
            **filters,
        )
    if as_json:
        for record in records:
            print_json(record)
    else:
        print_table(COLUMNS, (as_cells(record) for record in records), styles=STYLES)


COLUMNS = (
    "session", "opened", "lasted", "state", "agent", "principal", "resource", "actions", "refused", "rows", "masked",
)  # fmt: skip


def as_cells(record: dict[str, Any]) -> tuple[Any, ...]:
    """A session as a line of the table."""
    lasted = record["ended_at"] - record["opened_at"] if record["state"] != "opened" else None
    return (
        record["session_id"],
        record["opened_at"],
        "" if lasted is None else format_duration(int(lasted.total_seconds() * 1_000_000)),
        record["state"],
        record["agent"],
        record["principal"],
        record["resource"],
        *(record.get(name, 0) for name in ("actions", "refused", "row_count", "masked_values")),
    )


def to_us(moment: datetime) -> int:
    """µs since the epoch."""
    return int(moment.timestamp() * 1_000_000)
