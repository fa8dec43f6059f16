"""`custody quarantine`: stop an agent, a principal or a session at once, everywhere."""

import click

from console.output import from_us, print_json, print_table

KINDS = click.Choice(["agent", "principal", "session"])


@click.group()
def quarantine() -> None:
    """Stop an agent, a principal or a session, lift that, list who is stopped."""


@quarantine.command("add")
@click.argument("kind", type=KINDS)
@click.argument("name")
@click.option("--reason", required=True, help="Told to whoever is refused, and kept.")
@click.option("--as", "by", default="", help="Who stops it; default: you@local.")
@click.option("--json", "as_json", is_flag=True)
def add(kind: str, name: str, reason: str, by: str, as_json: bool) -> None:
    """End live sessions within a second, and refuse new ones with the reason."""
    from pydantic import ValidationError

    from console import control
    from console.credentials import default_principal
    from schemas.approvals import Quarantine
    from schemas.config import faults_of
    from schemas.errors import ConfigError
    from schemas.events import ControlKind
    from schemas.runtime import now_us

    values = {"kind": kind, "name": name, "reason": reason, "by": by or default_principal(), "at": now_us()}
    try:
        entry = Quarantine.model_validate(values)
    except ValidationError as error:
        raise ConfigError(faults_of(error, "quarantine")) from None
    control.put_entry(control.find_place(), ControlKind.QUARANTINE, entry.id, entry.model_dump(mode="json"))
    if as_json:
        print_json(entry.model_dump(mode="json"))
    else:
        click.echo(f"{kind} {name} quarantined")


@quarantine.command("lift")
@click.argument("kind", type=KINDS)
@click.argument("name")
def lift(kind: str, name: str) -> None:
    """Let new sessions be again. What was ended stays ended."""
    from console import control
    from schemas.errors import ConfigError
    from schemas.events import ControlKind

    place = control.find_place()
    id = f"{kind}:{name}"
    with control.open_view(place) as view:
        if view.get(ControlKind.QUARANTINE, id) is None:
            raise ConfigError(f"{kind} {name!r} is not quarantined; see `custody quarantine list`")
        control.write_changes(place, control.plan({(ControlKind.QUARANTINE, id): None}, view), view)
    click.echo(f"{kind} {name} is free again")


@quarantine.command("list")
@click.option("--json", "as_json", is_flag=True)
def list_(as_json: bool) -> None:
    """Show who is stopped, since when, by whom and why."""
    from console import control
    from schemas.events import ControlKind

    with control.open_view(control.find_place()) as view:
        found = view.all(ControlKind.QUARANTINE)
    rows = []
    for id, entry in sorted(found.items()):
        kind, _, name = id.partition(":")
        rows.append({"kind": kind, "name": name} | {key: entry.get(key, "") for key in ("reason", "by", "at")})
    if as_json:
        print_json(rows)
        return
    cells = ([*(row[key] for key in ("kind", "name", "reason", "by")), from_us(int(row["at"] or 0))] for row in rows)
    print_table(("kind", "name", "reason", "by", "since"), cells)
