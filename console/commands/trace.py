"""`custody trace`: who ever saw or sent a value. It is read from standard input, never from an argument."""

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import click

from console.output import clean, counted, print_json
from console.table import print_table
from console.times import Moment
from schemas.errors import ConfigError

if TYPE_CHECKING:
    from console.tracing import Found, Tokens

MAX_INPUT_BYTES: Final = 16_384  # what the key holder takes
COLUMNS: Final = ("first", "agent", "principal", "via", "resource", "session", "how", "label", "times", "last")
STYLES: Final = {"sent": "yellow", "saw": "cyan"}


@click.command()
@click.option("--since", type=Moment(), default=None, help="A time, or how long ago; else everything that is kept.")
@click.option("--reason", default="", help="Why it is asked; recorded.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=1000, show_default=True, help="Most sessions.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@click.argument("extra", nargs=-1, metavar="", type=click.UNPROCESSED)
def trace(since: datetime | None, reason: str, limit: int, as_json: bool, extra: tuple[str, ...]) -> None:
    """Who ever saw or sent a value, on whose behalf, in which sessions.

    Give the value on standard input, or at the prompt: there it is not shown. The holder of the token key makes its
    tokens and records who asked; the value itself is stored nowhere.
    """
    if extra:  # not repeated: it is in the shell's history by now, and need not be on the screen
        raise ConfigError("give the value on standard input or at the prompt, never as an argument")
    from console import tracing
    from console.control import find_place
    from console.store import open_store

    place = find_place()
    tokens = tracing.ask(place, read_value(), reason)
    since_us = int((since or datetime.fromtimestamp(0, UTC)).timestamp() * 1_000_000)
    with open_store(place) as store:
        found = tracing.find(store, tokens, since_us, limit)
    if as_json:
        print_json(as_document(tokens, found))
    else:
        show(tokens, found)


def read_value() -> bytes:
    """From the prompt, without echo, or from standard input without its last line end. Raises ConfigError."""
    if sys.stdin.isatty():
        value = str(click.prompt("value", hide_input=True, err=True)).encode("utf-8", "surrogateescape")
    else:
        value = sys.stdin.buffer.read(MAX_INPUT_BYTES + 1).removesuffix(b"\n").removesuffix(b"\r")
    if len(value) > MAX_INPUT_BYTES:
        raise ConfigError(f"a value has at most {MAX_INPUT_BYTES} bytes")
    if not value.strip():
        raise ConfigError("there is no value on standard input")
    return value


def as_document(tokens: "Tokens", found: "Found") -> dict[str, Any]:
    """For programs."""
    return {
        "tokens": list(tokens.tokens),
        "recorded_as": tokens.session_id,
        "left_today": tokens.left_today,
        "sightings": found.sightings,
        "lineage": found.edges,
        "asked_before": found.askings,
    }


def show(tokens: "Tokens", found: "Found") -> None:
    """For people."""
    if found.sightings:
        print_table(COLUMNS, (as_cells(row) for row in found.sightings), styles=STYLES)
        agents = {row["agent"] for row in found.sightings}
        sessions = {row["session_id"] for row in found.sightings}
        click.echo(f"{counted(len(agents), 'agent')} in {counted(len(sessions), 'session')}")
    else:
        click.echo("nobody: no masked value of the record has one of its tokens")
    for row in found.edges:
        way = f"{row['from_resource']} ({row['from_agent']}) > {row['to_resource']} ({row['to_agent']})"
        click.echo(f"went on: {row['at']:%Y-%m-%d %H:%M:%S} {clean(way)}, session {row['to_session']}")
    for row in found.askings:
        click.echo(f"asked before: {row['at']:%Y-%m-%d %H:%M:%S} by {clean(row['principal'])}")
    click.echo(f"recorded as session {tokens.session_id}; {tokens.left_today} traces left today")


def as_cells(row: dict[str, Any]) -> tuple[Any, ...]:
    """A sighting as a line of the table."""
    via = " > ".join(str(hop[0] if isinstance(hop, (tuple, list)) else hop["actor"]) for hop in row["delegation"])
    return (
        row["first"],
        row["agent"],
        row["principal"],
        via,
        row["resource"],
        row["session_id"],
        row["how"],
        " ".join(row["labels"]),
        row["times"],
        row["last"],
    )
