"""Legal holds as verification needs them: which leaves of the log each takes in, and whether control still says so."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from console.store import Store
from schemas.holds import LegalHold, encode_payload
from sinks.clickhouse.holding import quote
from sinks.transparency.hold_leaf import opens
from sinks.transparency.leaf import EventLeaf, HoldLeaf
from sinks.transparency.orders import Holds, HoldSpan

SESSIONS_OF = """
SELECT DISTINCT session_id FROM (
    SELECT session_id FROM custody.events WHERE {where}
    UNION ALL SELECT session_id FROM custody.sessions WHERE {sessions}
)
"""


@dataclass(frozen=True, slots=True)
class HoldAudit:
    """`faults` are holds that are not what their leaves commit to, and leaves whose hold is gone.

    Without `holds` they are not known; `unknown` says how many the log has then.
    """

    holds: Holds | None
    faults: tuple[str, ...] = ()
    unknown: int = 0


def audit_holds(
    store: Store, leaves: Sequence[tuple[int, HoldLeaf]], known: Mapping[str, LegalHold] | None, before_us: int
) -> HoldAudit:
    """Join the log's holds with control's. A hold placed before `before_us` must have a leaf by now.

    Raises QueryFailed, Unreachable.
    """
    if known is None:
        return HoldAudit(None, unknown=len({leaf.hold_id for _, leaf in leaves}))
    placed: dict[str, int] = {}
    released: dict[str, int] = {}
    faults: list[str] = []
    for index, leaf in leaves:
        hold = known.get(leaf.hold_id)
        if hold is None:
            faults.append(f"leaf {index}: legal hold {leaf.hold_id} is not in control any more")
        elif not opens(hold, leaf):
            faults.append(f"leaf {index}: legal hold {leaf.hold_id} is not what the log committed to")
        if leaf.is_placed:
            placed.setdefault(leaf.hold_id, index)
        else:
            released.setdefault(leaf.hold_id, index)
    faults += [
        f"legal hold {id} is not in the log"
        for id, hold in sorted(known.items())
        if id not in placed and hold.placed_at < before_us
    ]
    spans = [
        make_span(store, id, known[id], placed.get(id, 1 << 61), released.get(id))
        for id in sorted(known)
        if known[id].is_active or id in released
    ]
    return HoldAudit(Holds(spans), tuple(faults))


def make_span(store: Store, id: str, hold: LegalHold, placed: int, released: int | None) -> HoldSpan:
    """A hold with the sessions it takes in, as far as the store still knows who acted in them."""
    sessions = frozenset({hold.session}) if hold.session else None
    if where := _select_sessions(hold):
        token = f"has(masked.token, {quote(hold.token)})" if hold.token else ""
        # The sessions table knows no tokens: a session is found by its events then.
        sql = SESSIONS_OF.format(
            where=" AND ".join(filter(None, (*where, token))), sessions="0" if token else " AND ".join(where)
        )
        found = frozenset(row["session_id"] for row in store.rows(sql))
        sessions = found if sessions is None else sessions & found
    return HoldSpan(id, placed, released, sessions, hold.since, hold.until)


def _select_sessions(hold: LegalHold) -> list[str]:
    """Conditions by which a hold names sessions other than by their id."""
    named = [("agent", hold.agent), ("principal", hold.principal), ("resource", hold.resource)]
    parts = [f"{column} = {quote(value)}" for column, value in named if value]
    return [*parts, "1"] if hold.token and not parts else parts


def disclose_holds(
    store: Store,
    leaves: Sequence[tuple[int, HoldLeaf]],
    known: Mapping[str, LegalHold],
    records: Sequence[EventLeaf],
) -> dict[str, Any]:
    """holds.json of a file of evidence: the holds that take any of its records in. Raises QueryFailed, Unreachable."""
    found: dict[str, Any] = {}
    sessions = {leaf.session_id for leaf in records}
    for id in sorted({leaf.hold_id for _, leaf in leaves} & known.keys()):
        hold = known[id]
        span = make_span(store, id, hold, 0, None)
        if not any(span.takes(leaf) for leaf in records):
            continue
        is_released = any(leaf.hold_id == id and not leaf.is_placed for _, leaf in leaves)
        found[id] = {
            "placed": encode_payload(hold.payload(as_placed=True)),
            "released": encode_payload(hold.payload()) if is_released else "",
            "sessions": None if span.sessions is None else sorted(span.sessions & sessions),
        }
    return found
