"""Recorded actions as a backtest reads them: from the store, a page at a time, in the order of time."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

from console import queries
from console.store import Store
from policy.backtest import PastAction

PAGE_ROWS: Final = 20_000


def read_history(store: Store, since_us: int, until_us: int) -> Iterator[PastAction]:
    """The actions of [since, until), µs since the epoch. Raises QueryFailed, Unreachable."""
    place: dict[str, Any] = {"at": since_us - 1, "session_id": "\U0010ffff", "seq": 0}
    rows_read: dict[str, int] = {}
    while True:
        page = store.rows(queries.HISTORY, place | {"until": until_us, "limit": PAGE_ROWS})
        for row in page:
            session = row["session_id"]
            if row["kind"] == "action.completed":
                rows_read[session] = rows_read.get(session, 0) + int(row["rows"])
            else:
                yield action_of(row, rows_read.get(session, 0))
        if len(page) < PAGE_ROWS:
            return
        last = page[-1]
        place = {"at": last["at_us"], "session_id": last["session_id"], "seq": last["seq"]}


def action_of(row: dict[str, Any], rows_read: int) -> PastAction:
    """A row of HISTORY as a past action."""
    at = datetime.fromtimestamp(row["at_us"] / 1e6, UTC)
    return PastAction(
        principal=row["principal"],
        agent=row["agent"],
        resource=row["resource"],
        protocol=row["protocol"],
        statement=row["statement"],
        operation=row["operation"],
        objects=tuple(row["objects"]),
        verdict=row["verdict"],
        session_id=row["session_id"],
        is_truncated=bool(row["is_truncated"]),
        source=row["source_ip"],
        hour=at.hour,
        weekday=at.isoweekday(),
        groups=tuple(filter(None, row["groups"].split(","))),
        rows_read=rows_read,
        step=row["step"],
    )
