"""What must be true of the demo's trail. Pure: rows of the store in, faults out."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from console.demo.canaries import Canaries
from console.demo.executor import Done
from console.demo.plan import marker
from console.events import Row
from schemas.events import EventKind

EXPECTED_LABELS: Final = ("payment_card", "us_ssn")
OPENING_MARK: Final = "‹"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was checked."""

    name: str
    faults: tuple[str, ...]
    detail: str = ""

    @property
    def is_fine(self) -> bool:
        return not self.faults


def check_outcomes(done: Sequence[Done]) -> Check:
    """The agent was served: every step ended as planned."""
    faults = tuple(
        f"step {item.step.number} ({item.step.purpose}) ended with {item.outcome}, not {item.step.expect}"
        for item in done
        if not item.is_as_planned
    )
    return Check("every step of the plan went through the proxies", faults, f"{len(done)} steps")


def check_once(run_id: str, done: Sequence[Done], rows: Sequence[Row]) -> Check:
    """Every action of the agent is in the trail exactly once, with its outcome."""
    faults: list[str] = []
    for item in done:
        mark = marker(run_id, item.step)
        requested = [row for row in rows if row.kind == EventKind.ACTION_REQUESTED and mark in searchable(row)]
        what = f"step {item.step.number} ({item.step.purpose})"
        if len(requested) != 1:
            faults.append(f"{what} was recorded {len(requested)} times")
            continue
        action_id = requested[0].action_id
        outcomes = [row for row in rows if row.kind == EventKind.ACTION_COMPLETED and row.action_id == action_id]
        if len(outcomes) != 1:
            faults.append(f"{what} has {len(outcomes)} recorded outcomes")
        elif outcomes[0].status != item.outcome:
            faults.append(f"{what}: the agent saw {item.outcome}, the trail says {outcomes[0].status}")
    return Check("every action is in the trail exactly once", tuple(faults), f"{len(done)} actions")


def searchable(row: Row) -> str:
    """Where a marker may stand: the statement, or what a request's attributes say of its target."""
    return "\n".join((row.statement, *row.attributes.values()))


def check_absent(canaries: Canaries, records: Iterable[Mapping[str, Any]]) -> Check:
    """No column of any row holds a secret."""
    faults: list[str] = []
    count = 0
    for record in records:
        count += 1
        for column, value in record.items():
            data = as_bytes(value)
            for name, secret in canaries.values().items():
                if secret.encode() in data:
                    faults.append(f"the {name.replace('_', ' ')} stands in column {column} of seq {record.get('seq')}")
    return Check("no secret is in the store", tuple(faults), f"{count} rows, {len(canaries.values())} secrets")


def as_bytes(value: Any) -> bytes:
    """Whatever a column holds, as bytes to search."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, Mapping):
        return b"\n".join(as_bytes(item) for pair in value.items() for item in pair)
    if isinstance(value, (list, tuple)):
        return b"\n".join(as_bytes(item) for item in value)
    return str(value).encode()


def check_tokens(rows: Sequence[Row]) -> Check:
    """Where a secret stood there is a token with a label."""
    labels = {label for row in rows for label, *_ in row.masked}
    faults = [f"nothing was masked as {label}" for label in EXPECTED_LABELS if label not in labels]
    if not any(OPENING_MARK in row.statement for row in rows):
        faults.append("no statement shows a token")
    return Check("masked values show their label and token", tuple(faults), ", ".join(sorted(labels)))
