"""`custody dead-letter`: what masking refused for good, and putting it before masking again."""

from typing import TYPE_CHECKING, Any

import click

from console.output import format_bytes, format_time, from_us, print_json
from console.table import print_table

if TYPE_CHECKING:
    from console.dead_letters import Letter


@click.group("dead-letter")
def dead_letter() -> None:
    """List what masking refused for good; redrive one once what was wrong is mended. Kept for 30 days."""


@dead_letter.command("list")
@click.option("--json", "as_json", is_flag=True, help="JSON Lines.")
def list_command(as_json: bool) -> None:
    """Every dead letter, oldest first: which raw record it was, why it was refused, whether redriving it may help."""
    from console.control import find_place
    from console.dead_letters import list_letters

    found = [describe(letter) for letter in list_letters(find_place())]
    if as_json:
        for document in found:
            print_json(document)
        return
    rows = [
        (
            each["id"], format_time(from_us(each["at"])), f"{each['origin']['partition']}/{each['origin']['offset']}",
            each["proxy_id"], each["reason"], format_bytes(each["bytes"]), each["obstacle"] or "may be redriven",
        )
        for each in found
    ]  # fmt: skip
    print_table(("id", "at", "raw record", "proxy", "refused for", "kept", "now"), rows)


@dead_letter.command("redrive")
@click.argument("ids", metavar="ID...", type=click.IntRange(0), nargs=-1, required=True)
@click.option("--by", default="", help="Who does it, where nobody signs in; default: you@local.")
@click.option("--json", "as_json", is_flag=True, help="JSON Lines.")
def redrive_command(ids: tuple[int, ...], by: str, as_json: bool) -> None:
    """Put dead letters on the raw topic again; masking judges them anew, and its record names who redrove them.

    A batch that is in the record already is refused as a duplicate, so doing it twice does no harm.
    """
    from console.acting import who_acts
    from console.control import find_place
    from console.dead_letters import redrive

    place = find_place()
    who = who_acts(place, by, "--by", is_here=True)
    for id in ids:
        done = redrive(place, id, who.principal)
        if as_json:
            print_json({**describe(done.letter), "redriven": {"partition": done.partition, "offset": done.offset}})
        else:
            click.echo(f"dead letter {id} is raw record {done.partition}/{done.offset} now")


def describe(letter: "Letter") -> dict[str, Any]:
    """A dead letter as JSON, without the refused bytes."""
    origin = letter.letter.origin
    return {
        "id": letter.id,
        "at": letter.letter.at,
        "stage": letter.letter.stage,
        "reason": letter.letter.reason,
        "origin": {"log_id": origin.log_id, "partition": origin.partition, "offset": origin.offset},
        "proxy_id": letter.header.proxy_id if letter.header else "",
        "bytes": letter.size,
        "obstacle": letter.obstacle,
    }
