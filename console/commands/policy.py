"""`custody policy`: statements as policy sees them, and policies before they are applied."""

import json
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from schemas.errors import ConfigError

if TYPE_CHECKING:
    from policy.model import Classified


@click.group()
def policy() -> None:
    """Look at statements as policy does."""


@policy.command("classify")
@click.option(
    "--dialect", required=True, help="Language: postgres, mysql, shell, redis, mongodb, kubernetes, mcp, http."
)
def classify(dialect: str) -> None:
    """Classify JSON Lines on standard input, `{"id", "statement"}` each: one line of JSON for each."""
    from policy.classify import CLASSIFIERS
    from policy.classify import classify as classify_statement

    if dialect not in CLASSIFIERS:
        raise ConfigError(f"no classifier for dialect {dialect!r}; there are: {', '.join(CLASSIFIERS)}")
    for id, statement in read_statements(sys.stdin):
        found = describe(id, classify_statement(dialect, statement))
        click.echo(json.dumps(found))


def read_statements(lines: Iterator[str] | Any) -> Iterator[tuple[Any, str]]:
    """(id, statement) of each line; a statement that is an object or a list stays JSON. Raises ConfigError."""
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            raise ConfigError(f"line {number}: not JSON") from None
        if not isinstance(entry, dict) or "statement" not in entry:
            raise ConfigError(f'line {number}: not an object with "statement"')
        statement = entry["statement"]
        text = statement if isinstance(statement, str) else json.dumps(statement)
        yield entry.get("id", number), text


def describe(id: Any, classified: "Classified") -> dict[str, Any]:
    """A line of the answer. Functions are no objects here: what they do is in `operation`."""
    return {
        "id": id,
        "operation": classified.operation.value,
        "objects": [
            {"name": each.name, "access": "read" if each.access.value == "read" else "write"}
            for each in classified.objects
            if not each.name.endswith("()")
        ],
        "has_where": classified.has_where,
        "multi": classified.is_multi,
        "unknown": classified.is_unknown,
    }
