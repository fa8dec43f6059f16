"""`custody tail`: events as they become visible in the store, until Ctrl-C."""

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import click

from console.output import clean, format_time, one_line, print_json
from schemas.events import EventKind

if TYPE_CHECKING:
    from console.events import Row
    from console.store import Store

POLL_S: Final = 0.5
PAGE: Final = 1000
MAX_STATEMENT: Final = 100
MAX_POSITION: Final = 2**32 - 1


@click.command()
@click.option("--agent", default="", help="Only this agent.")
@click.option("--resource", default="", help="Only this resource.")
@click.option("--count", type=click.IntRange(1), default=None, help="Stop after so many events.")
@click.option("--json", "as_json", is_flag=True, help="JSON Lines.")
def tail(agent: str, resource: str, count: int | None, as_json: bool) -> None:
    """Show events as they arrive, until Ctrl-C."""
    from console.control import find_place
    from console.events import as_document
    from console.store import open_store

    with open_store(find_place()) as store:
        for number, row in enumerate(follow(store, agent, resource), 1):
            if as_json:
                print_json(as_document(row))
            else:
                click.echo(render_line(row))
            if number == count:
                return


def follow(store: "Store", agent: str, resource: str) -> Iterator["Row"]:
    """Events of every partition that were stored after this call, in the log's order within each."""
    seen = {key: (end, MAX_POSITION) for key, end in read_ends(store).items()}
    while True:
        moved = False
        for key, end in read_ends(store).items():
            if end > seen.get(key, (-1, 0))[0]:
                moved = True
                yield from read_new(store, key, seen.get(key, (-1, 0)), end, agent, resource)
                seen[key] = (end, MAX_POSITION)
        if not moved:
            time.sleep(POLL_S)


def read_new(
    store: "Store", key: tuple[str, int], after: tuple[int, int], upto: int, agent: str, resource: str
) -> Iterator["Row"]:
    """One partition's events after a (offset, position), up to an offset."""
    from console import queries
    from console.events import row_from

    log_id, partition = key
    fixed = {
        "log_id": log_id,
        "partition": partition,
        "upto": upto,
        "agent": agent,
        "resource": resource,
        "limit": PAGE,
    }
    while True:
        page = store.rows(queries.TAIL, fixed | {"after": after[0], "position": after[1]})
        yield from map(row_from, page)
        if len(page) < PAGE:
            return
        after = (page[-1]["offset"], page[-1]["position"])


def read_ends(store: "Store") -> dict[tuple[str, int], int]:
    """The highest origin of each partition that is fully stored."""
    from console import queries

    rows = store.rows(queries.PROGRESS, {"sink": queries.SINK})
    return {(row["log_id"], row["partition"]): row["offset"] for row in rows}


def render_line(row: "Row") -> str:
    """One event on one line."""
    what = one_line(row.statement, MAX_STATEMENT) if row.statement else ""
    facts: dict[str, str] = {
        EventKind.ACTION_COMPLETED: f"{row.status} {row.rows} rows {one_line(row.error, 60)}",
        EventKind.SESSION_CLOSED: row.status,
        EventKind.ACTION_DECIDED: row.verdict,
    }
    who = f"{row.agent}/{row.principal} {row.resource}"
    clock = format_time(row.at)[11:]
    return clean(f"{clock} {row.session_id[:8]} {row.kind:<16} {who} {what}{facts.get(row.kind, '')}".rstrip())
