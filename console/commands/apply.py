"""`custody apply -f FILE`: only what differs is written."""

import sys
from pathlib import Path

import click

from console import control, registry
from console.output import print_json
from schemas.errors import ConfigError


@click.command()
@click.option(
    "-f", "--file", "name", required=True, help="YAML file with `resources:` and `policies:`; - reads standard input."
)
@click.option("--dry-run", is_flag=True, help="Say what would change; write nothing.")
@click.option("--json", "as_json", is_flag=True, help="Changes as JSON.")
def apply(name: str, dry_run: bool, as_json: bool) -> None:
    """Bring control to what a file says. Applying it again changes nothing; what the file leaves out stays."""
    document = registry.read_document(read_text(name), "standard input" if name == "-" else name)
    place = control.find_place()
    with control.open_view(place) as view:
        changes = registry.apply_document(place, view, document, is_dry=dry_run)
    report(changes, as_json)


def read_text(name: str) -> str:
    """A file's text, or standard input's for `-`. Raises ConfigError."""
    try:
        return sys.stdin.read() if name == "-" else Path(name).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{name}: {getattr(error, 'strerror', None) or error}") from None


def report(changes: list[control.Change], as_json: bool) -> None:
    """Say what changed."""
    if as_json:
        print_json([{"kind": change.kind.value, "id": change.id, "action": change.action} for change in changes])
        return
    for change in changes:
        click.echo(f"{change.kind.value} {change.id} {change.action}")
    if not changes:
        click.echo("nothing to change")
