"""`custody keys`: the keys that a running stack takes up by itself."""

from dataclasses import asdict

import click

from console.output import print_json
from console.table import print_table


@click.group()
def keys() -> None:
    """List and rotate the token key and the unsealing key."""


@keys.command("list")
@click.option("--json", "as_json", is_flag=True, help="JSON Lines.")
def list_keys(as_json: bool) -> None:
    """Token and unsealing keys, by name; never the keys themselves."""
    from console import key_rotation
    from console.control import find_place

    found = [asdict(info) for info in key_rotation.list_keys(find_place())]
    if as_json:
        for info in found:
            print_json(info)
    else:
        columns = ("purpose", "name", "kind", "state", "source")
        print_table(columns, ([info[column] for column in columns] for info in found), styles={"in use": "green"})


@keys.command("rotate")
@click.argument("purpose", type=click.Choice(["token", "unseal"]))
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def rotate(purpose: str, as_json: bool) -> None:
    """Put a new key in use and keep the old one.

    A running stack takes it up within some seconds, without a restart: old tokens stay traceable, sealed batches stay
    readable.
    """
    from console.control import find_place
    from console.key_rotation import ROTATIONS

    rotated = ROTATIONS[purpose](find_place())
    if as_json:
        print_json(asdict(rotated))
    else:
        click.echo(f"{purpose} key {rotated.name} is in use; the old one is kept as secrets/{rotated.kept}")
