"""`custody alerts`: what detection found."""

from datetime import UTC, datetime, timedelta
from typing import Final

import click

from console.commands.sessions import to_us
from console.output import print_json
from console.table import print_table
from console.times import Moment
from schemas.events import Severity

SEVERITIES: Final = tuple(severity.value for severity in Severity)
STYLES: Final = {"medium": "yellow", "high": "red", "critical": "bold red"}


@click.command()
@click.option("--agent", default="", help="Only this agent.")
@click.option("--resource", default="", help="Only this resource.")
@click.option("--rule", default="", help="Only this rule.")
@click.option("--severity", type=click.Choice(SEVERITIES), default="info", show_default=True, help="At least.")
@click.option("--since", type=Moment(), default="7d", show_default=True, help="A time, or how long ago.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="JSON Lines.")
def alerts(severity: str, since: datetime, limit: int, as_json: bool, **filters: str) -> None:
    """List detections, newest first, each once."""
    from console.control import find_place
    from console.reading import list_detections
    from console.store import open_store

    with open_store(find_place()) as store:
        found = list_detections(
            store,
            since_us=to_us(since),
            until_us=to_us(datetime.now(UTC) + timedelta(days=1)),
            limit=limit,
            severity=severity,
            **filters,
        )
    if as_json:
        for row in found:
            print_json(row)
        return
    columns = ("at", "severity", "rule", "title", "agent", "principal", "resource", "session_id")
    print_table(columns, ([row[name] for name in columns] for row in found), styles=STYLES)
