"""`custody query SQL`: the reader's login, so nothing can be written, dropped or read outside the record."""

import json
import re
import sys
from typing import Final

import click

from console.output import counted
from console.table import print_table
from schemas.errors import ConfigError

MAX_TABLE_BYTES: Final = 32 << 20
OWN_FORMAT: Final = re.compile(r"\bFORMAT\s+\w+$", re.IGNORECASE)
"""A statement that names its format is answered in it."""


@click.command()
@click.argument("sql")
@click.option("--json", "as_json", is_flag=True, help="JSON Lines.")
@click.option("--csv", "as_csv", is_flag=True, help="CSV with a header.")
def query(sql: str, as_json: bool, as_csv: bool) -> None:
    """Run one SQL statement on the record, read-only; - reads it from standard input. Tables: docs/query.md."""
    from console.control import find_place
    from console.reading import bounded
    from console.store import open_store

    if as_json and as_csv:
        raise click.UsageError("--json or --csv, not both")
    format = "JSONEachRow" if as_json else "CSVWithNames" if as_csv else ""
    statement = (sys.stdin.read() if sql == "-" else sql).strip().rstrip(";")
    if not statement:
        raise ConfigError("no SQL was given")
    with open_store(find_place()) as store:
        own = OWN_FORMAT.search(statement)
        if format or own:
            for piece in store.stream(statement, "" if own else format):
                sys.stdout.buffer.write(piece)
            return
        remedy = "add LIMIT, or use --json or --csv"
        print_answer(b"".join(bounded(store.stream(statement, "JSONCompact"), MAX_TABLE_BYTES, remedy)))


def print_answer(body: bytes) -> None:
    """A JSONCompact answer as a table; text of another format as it is."""
    try:
        document = json.loads(body)
        columns, rows = [column["name"] for column in document["meta"]], document["data"]
    except (ValueError, KeyError, TypeError):
        sys.stdout.buffer.write(body)
        return
    print_table(columns, rows)
    click.echo(counted(len(rows), "row"))
