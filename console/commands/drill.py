"""`custody drill`: attack a copy of the record, and see what notices."""

import tempfile
from dataclasses import asdict
from pathlib import Path

import click

from console.output import EXIT_FINE, EXIT_VIOLATION, print_json
from console.table import print_table

MAX_LEAVES = 20_000


@click.command()
@click.option("--json", "as_json", is_flag=True)
@click.pass_context
def drill(ctx: click.Context, as_json: bool) -> None:
    """Act as root of the database and of the log on a copy of the record, and say what caught each attack.

    Nothing of the real record, log or witness is written. Exit code 1 when an attack was not caught.
    """
    from console.control import find_place
    from console.drill import make_copy, run_drill
    from console.integrity import read_copy
    from console.store import open_store
    from schemas.runtime import now_us

    place = find_place()
    with open_store(place) as store:
        entries, rows = read_copy(store, place.settings, place.home, MAX_LEAVES)
    with tempfile.TemporaryDirectory(prefix="custody-drill-") as directory:
        copy = make_copy(Path(directory), entries, dict(rows), now_us())
        try:
            found = run_drill(copy)
        finally:
            copy.witness.close()
    if as_json:
        print_json([asdict(item) for item in found])
    else:
        lines = [
            (item.attack, item.by or "NOT CAUGHT", "yes" if item.needs_witness else "", item.finding) for item in found
        ]
        columns = ("attack", "caught by", "witness needed", "finding")
        print_table(columns, lines, title=f"Attacks on a copy of {len(entries)} leaves", styles={"NOT CAUGHT": "red"})
        click.echo(f"{sum(bool(item.by) for item in found)} of {len(found)} attacks were caught")
    ctx.exit(EXIT_FINE if all(item.by for item in found) else EXIT_VIOLATION)
