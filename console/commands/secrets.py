"""`custody secrets`: the encrypted file of upstreams' secrets. A value is read, never given as an argument."""

from dataclasses import asdict

import click

from console.commands.trace import read_value
from console.output import from_us, print_json
from console.table import print_table
from schemas.errors import ConfigError


@click.group()
def secrets() -> None:
    """Keep upstreams' secrets in an encrypted file."""


@secrets.command("put")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@click.argument("extra", nargs=-1, metavar="", type=click.UNPROCESSED)
def put(name: str, as_json: bool, extra: tuple[str, ...]) -> None:
    """Add or replace a secret; proxies that run take it up by themselves.

    Give the value on standard input, or at the prompt: there it is not shown. One line end at its end is dropped.
    """
    if extra:  # not repeated: it is in the shell's history by now, and need not be on the screen
        raise ConfigError("give the value on standard input or at the prompt, never as an argument")
    from console import secrets_file
    from console.control import find_place

    try:
        value = read_value().decode()
    except UnicodeDecodeError:
        raise ConfigError("a secret is text in UTF-8") from None
    kept = secrets_file.put(find_place(), name, value)
    if as_json:
        print_json(asdict(kept))
    else:
        click.echo(f"kept: {kept.reference}")


@secrets.command("list")
@click.option("--json", "as_json", is_flag=True, help="JSON Lines.")
def list_(as_json: bool) -> None:
    """What the file holds, by name; never the values."""
    from console import secrets_file
    from console.control import find_place

    found = secrets_file.list_all(find_place())
    if as_json:
        for item in found:
            print_json(asdict(item))
    else:
        print_table(("reference", "changed"), ((item.reference, from_us(item.changed_at)) for item in found))


@secrets.command("remove")
@click.argument("name")
def remove(name: str) -> None:
    """Take a secret out of the file. Resources that name it cannot reach their upstream any more."""
    from console import secrets_file
    from console.control import find_place

    secrets_file.remove(find_place(), name)
    click.echo(f"removed: encrypted:{name}")


@secrets.command("rotate-key")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def rotate_key(as_json: bool) -> None:
    """Write the file anew under a new key."""
    from console import secrets_file
    from console.control import find_place

    name = secrets_file.rotate_key(find_place())
    if as_json:
        print_json({"key": name})
    else:
        click.echo(f"the file is written under key {name}")
