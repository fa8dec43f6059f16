"""`custody policy`: statements as policy sees them."""

import sys
from typing import TYPE_CHECKING, Any, Final

import click

from console.output import as_cell, print_json
from schemas.errors import ConfigError

if TYPE_CHECKING:
    from policy.model import Classified

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
    from policy.classify import classify as classify_statement

    found = describe(classify_statement(dialect, sys.stdin.read().strip()))
    if as_json:
        print_json(found)
        return
    for name, value in found.items():
        click.echo(f"{name}: {', '.join(value) if isinstance(value, list) else as_cell(value)}")


def describe(classified: "Classified") -> dict[str, Any]:
    """What is known of a statement; objects as `operation name`."""
    return {
        "operation": classified.operation.value,
        "is_read": classified.is_read,
        "is_unknown": classified.is_unknown,
        "objects": [str(entry) for entry in classified.objects],
        "fingerprint": classified.fingerprint,
        "is_multi": classified.is_multi,
        "has_where": classified.has_where,
        "lacks_where": classified.lacks_where,
    }
