"""The trail's actions on one resource in the order of time, a page at a time, with how each ended."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from console import queries
from console.reconcile.matching import Done
from console.reconcile.shapes import UNPARSABLE, HttpShapes, split_statements

if TYPE_CHECKING:
    from console.store import Store
    from schemas.resources import Resource

PAGE_ROWS: Final = 5_000
OPEN_ENDED_US: Final = 3_600_000_000
"""How long an action without an outcome may have been on its way to the target."""
UNREACHED: Final = frozenset({"502", "503", "504"})
"""HTTP: what a proxy answers when the target did not; the target itself may, too."""


def read_actions(store: "Store", resource: "Resource", since: int, until: int) -> Iterator[Done]:
    """Actions requested in [since, until), µs. What was refused is left out: it must not be at the target.

    Raises QueryFailed, Unreachable. Memory: one page.
    """
    place: dict[str, Any] = {"at": since, "session_id": "", "seq": 0}
    while True:
        rows = store.rows(queries.RECONCILED, place | {"resource": resource.name, "until": until, "limit": PAGE_ROWS})
        outcomes = _outcomes(store, resource, [row["action_id"] for row in rows])
        for row in rows:
            done = make_done(row, outcomes.get(row["action_id"], {}), resource)
            if done is not None:
                yield done
        if len(rows) < PAGE_ROWS:
            return
        place = {name: rows[-1][name] for name in ("at", "session_id", "seq")}


def _outcomes(store: "Store", resource: "Resource", ids: list[str]) -> dict[str, dict[str, Any]]:
    if not ids:
        return {}
    found = store.rows(queries.RECONCILED_OUTCOMES, {"resource": resource.name, "actions": ids})
    return {row["action_id"]: row for row in found}


def make_done(row: dict[str, Any], outcome: dict[str, Any], resource: "Resource") -> Done | None:
    """What the target may have seen of an action; None for what was refused."""
    if row["verdict"] == "deny" or outcome.get("refused"):
        return None
    has_ended = bool(outcome.get("ended"))
    until = row["at"] + (outcome["duration_us"] if has_ended else OPEN_ENDED_US)
    is_sql = resource.protocol == "postgres"
    status = str(outcome.get("final_status", ""))
    return Done(
        at=row["at"],
        until=until,
        shape=(row["fingerprint"] or UNPARSABLE) if is_sql else HttpShapes.stored(row["statement"]),
        session_id=row["session_id"],
        seq=row["seq"],
        agent=row["agent"],
        user=resource.upstream.user if is_sql else "",
        database=row["database"],
        is_certain=has_ended and (status == "00000" if is_sql else status not in UNREACHED and bool(status)),
        texts=split_statements(row["statement"]) if is_sql and ";" in row["statement"] else (),
    )
