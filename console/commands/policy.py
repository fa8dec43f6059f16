"""`custody policy`: statements as policy sees them."""

import sys
from typing import Final

import click

from console.output import print_json
from schemas.errors import ConfigError

DIALECTS: Final = ("postgres", "http")


@click.group()
def policy() -> None:
    """Look at statements as policy does."""


@policy.command("classify")
@click.option("--dialect", required=True, metavar="|".join(DIALECTS), help="Language of the statement.")
@click.option("--json", "as_json", is_flag=True)
def classify(dialect: str, as_json: bool) -> None:
    """Classify the statement on standard input: operation, objects, fingerprint."""
    if dialect not in DIALECTS:
        raise ConfigError(f"no classifier for dialect {dialect!r}; there are: {', '.join(DIALECTS)}")
    from dataclasses import asdict

    from policy.classify import classify as classify_statement

    found = asdict(classify_statement(dialect, sys.stdin.read()))
    if as_json:
        print_json(found)
        return
    for name, value in found.items():
        click.echo(f"{name}: {', '.join(map(str, value)) if isinstance(value, (list, tuple)) else value}")
