"""`custody quarantine`: stop an agent, a principal or a session at once, everywhere."""

from urllib.parse import urlencode

import click

from console.output import from_us, print_json
from console.table import print_table

PATH = "/v1/quarantine"
KINDS = click.Choice(["agent", "principal", "session"])


@click.group()
def quarantine() -> None:
    """Stop an agent, a principal or a session, lift that, list who is stopped."""


@quarantine.command("add")
@click.argument("kind", type=KINDS)
@click.argument("name")
@click.option("--reason", required=True, help="Told to whoever is refused, and kept.")
@click.option("--as", "by", default="", help="Who stops it, where nobody signs in; default: you@local.")
@click.option("--json", "as_json", is_flag=True)
def add(kind: str, name: str, reason: str, by: str, as_json: bool) -> None:
    """End live sessions within a second, and refuse new ones with the reason.

    Of a session the first characters of its id suffice, once the store has it.
    """
    from console.acting import who_acts
    from console.control import find_place
    from console.quarantine import place_quarantine
    from console.reading import complete_session

    place = find_place()
    if kind == "session":
        name = complete_session(place, name)
    who = who_acts(place, by, "--as")
    if who.remote is not None:
        placed = who.remote.ask("POST", PATH, {"kind": kind, "name": name, "reason": reason})
    else:
        placed = place_quarantine(place, kind, name, reason, who.principal).model_dump(mode="json")
    if as_json:
        print_json(placed)
    else:
        click.echo(f"{kind} {name} quarantined")


@quarantine.command("lift")
@click.argument("kind", type=KINDS)
@click.argument("name")
def lift(kind: str, name: str) -> None:
    """Let new sessions be again. What was ended stays ended."""
    from console.acting import who_acts
    from console.control import find_place, open_view
    from console.quarantine import lift_quarantine
    from schemas.errors import ConfigError

    place = find_place()
    remote = who_acts(place, "", "a name").remote
    if remote is not None:
        remote.ask("DELETE", f"{PATH}?{urlencode({'kind': kind, 'name': name})}")
        click.echo(f"{kind} {name} is free again")
        return
    with open_view(place) as view:
        if not lift_quarantine(place, view, kind, name):
            raise ConfigError(f"{kind} {name!r} is not quarantined; see `custody quarantine list`")
    click.echo(f"{kind} {name} is free again")


@quarantine.command("list")
@click.option("--json", "as_json", is_flag=True)
def list_(as_json: bool) -> None:
    """Show who is stopped, since when, by whom and why."""
    from dataclasses import asdict

    from console.control import find_place, open_view
    from console.quarantine import list_quarantined

    with open_view(find_place()) as view:
        found = list_quarantined(view)
    if as_json:
        print_json([asdict(entry) for entry in found])
        return
    cells = ([entry.kind, entry.name, entry.reason, entry.by, from_us(entry.at)] for entry in found)
    print_table(("kind", "name", "reason", "by", "since"), cells)
