"""Ordering that what the store has of somebody is erased: whom it concerns, whether it may go, where copies are.

An order goes onto the retention topic, from there into the transparency log, and is carried out once a witnessed
checkpoint covers it. The checks here are for the person at the terminal; what carries the order out makes them again.
"""

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from console.control import Place
from console.legal_holds import list_holds
from console.retention_orders import send_orders
from console.store import Store
from schemas.config import Retention
from schemas.errors import ConfigError, CustodyError, Fault
from schemas.events import RetentionAction, RetentionVerb
from schemas.holds import LegalHold, require_two
from schemas.runtime import now_us
from schemas.topics import BY_NAME, DEADLETTER, DETECTIONS, FACTS, SESSIONS, find_longest_ms
from sinks.clickhouse.erasure import Target, find_young, select_ages
from sinks.clickhouse.holding import quote, select_held_events
from sinks.transparency.orders import MAX_SEQS, format_seqs, parse_seqs

GROUNDS: Final[Mapping[str, str]] = {
    "a": "no longer needed for its purpose",
    "b": "consent withdrawn",
    "c": "objection",
    "d": "unlawfully processed",
    "e": "a legal obligation",
    "f": "a child's data of an online service",
}
"""The letters of GDPR, Article 17(1)."""
MAX_SESSIONS: Final = 1000
_REFERENCE: Final = re.compile(r"[\w./-]{0,64}", re.ASCII)
_PERSON: Final = re.compile(r"[^\x00-\x1f\x7f]{1,200}")

WHOLE_SESSION: Final = """
SELECT session_id, groupArray(seq) AS seqs FROM custody.events WHERE session_id = {session:String} GROUP BY session_id
"""
ACTIONS_SEEN: Final = """
SELECT session_id, groupArray(seq) AS seqs FROM custody.events
WHERE hasAny(masked.token, {tokens:Array(String)})
   OR (action_id != '' AND (session_id, action_id) IN (
       SELECT session_id, action_id FROM custody.events WHERE hasAny(masked.token, {tokens:Array(String)})))
GROUP BY session_id ORDER BY session_id
"""
"""Of each session, the events of every action in which a value was seen, and those that belong to no action."""
ENDED: Final = """
SELECT countIf(state = 'closed' OR proxy_epoch NOT IN (
    SELECT argMax(proxy_epoch, opened_at) FROM custody.sessions
    WHERE protocol = 'custody' AND agent = proxy_id GROUP BY proxy_id
)) AS ended
FROM custody.sessions WHERE session_id = {session:String}
"""
"""Whether a session was closed, or is lost: then nothing more of it comes."""
DELIVERED: Final = """
SELECT sink, target, count() AS items FROM custody.deliveries
WHERE item IN {sessions:Array(String)}
   OR item IN (SELECT detection_id FROM custody.detections WHERE session_id IN {sessions:Array(String)})
GROUP BY sink, target ORDER BY sink, target
"""


class ErasureRefused(CustodyError):
    """What is asked for must stay; the message says why."""

    fault = Fault.CALLER


@dataclass(frozen=True, slots=True)
class Part:
    """What of one session goes. `seqs` are the numbers of its events; `retention_class` their class."""

    session_id: str
    seqs: tuple[int, ...]
    retention_class: str
    is_whole: bool
    is_open: bool = False

    @property
    def target(self) -> Target:
        return Target(self.session_id, parse_seqs(format_seqs(self.seqs)))


@dataclass(frozen=True, slots=True)
class Request:
    """Who asks for an erasure, who approves it, on which ground. Kept for ever: no personal data of the subject."""

    by: str
    approved_by: str
    ground: str
    reference: str = ""

    def check(self) -> None:
        """Raises ConfigError."""
        if not _PERSON.fullmatch(self.by) or not _PERSON.fullmatch(self.approved_by):
            raise ConfigError("a name has 1 to 200 plain characters")
        if not _REFERENCE.fullmatch(self.reference):
            raise ConfigError("a reference is a case number: letters, digits, dots, dashes")
        try:
            require_two(self.by, self.approved_by)
        except ValueError as error:
            raise ConfigError(str(error)) from None


def find_parts(store: Store, session: str, tokens: Sequence[str]) -> list[Part]:
    """What is asked for: a session, or every action in which a masked value was seen. Raises ConfigError."""
    if bool(session) == bool(tokens):
        raise ConfigError("name a session or tokens")
    rows = (
        store.rows(WHOLE_SESSION, {"session": session})
        if session
        else store.rows(ACTIONS_SEEN, {"tokens": list(tokens)})
    )
    if not rows:
        raise ConfigError("the store has nothing of that")
    if len(rows) > MAX_SESSIONS:
        raise ConfigError(f"{len(rows)} sessions at once are too many (at most {MAX_SESSIONS})")
    return [_make_part(store, row["session_id"], row["seqs"], is_whole=bool(session)) for row in rows]


def _make_part(store: Store, session_id: str, seqs: Sequence[int], *, is_whole: bool) -> Part:
    numbers = tuple(sorted(set(seqs)))
    if len(parts := format_seqs(numbers).split(",")) > MAX_SEQS:
        raise ConfigError(f"session {session_id}: {len(parts)} stretches of events are too many for one order")
    is_open = is_whole and not store.one(ENDED, {"session": session_id})["ended"]
    part = Part(session_id, numbers, "", is_whole and not is_open, is_open)
    classes = [row["class"] for row in store.rows(select_ages(part.target))]
    return Part(session_id, numbers, classes[0] if classes else "", part.is_whole, is_open)


def check_allowed(store: Store, parts: Sequence[Part], holds: Mapping[str, LegalHold], rules: Retention) -> None:
    """Raises ErasureRefused, naming every hold and every least age in the way."""
    today = datetime.now(UTC).date()
    reasons: list[str] = []
    for part in parts:
        for id, hold in holds.items():
            where = f"session_id = {quote(part.session_id)} AND {select_held_events(hold)}"
            sql = f"SELECT count() AS held FROM custody.events WHERE {where}"  # noqa: S608 - every text is quoted
            if hold.is_active and (held := store.one(sql)["held"]):
                reasons.append(f"session {part.session_id}: legal hold {id} keeps {held} events of it")
        for row in store.rows(select_ages(part.target)):
            if young := find_young(row["class"], row["newest"], rules, today):
                reasons.append(f"session {part.session_id}: {young}")
    if reasons:
        raise ErasureRefused("nothing was ordered:\n" + "\n".join(reasons[:20]))


def make_orders(parts: Sequence[Part], request: Request, rules: Retention, at: int) -> list[RetentionAction]:
    """One order a session. A whole session goes with its rows in the other tables."""
    name = f"erase-{secrets.token_hex(6)}"
    orders = []
    for number, part in enumerate(parts, 1):
        rule = rules.ages.get(part.retention_class)
        evidence = {
            "session_id": part.session_id, "by": request.by, "approved_by": request.approved_by,
            "ground": f"17(1)({request.ground})", "min_age_days": str(rule.min_age_days if rule else 0),
            "events": str(len(part.seqs)),
        }  # fmt: skip
        if request.reference:
            evidence["reference"] = request.reference
        if not part.is_whole:
            evidence["seqs"] = format_seqs(part.seqs)
        reason = f"GDPR Art. 17(1)({request.ground}): {GROUNDS[request.ground]}"
        orders.append(
            RetentionAction(
                f"{name}/{number}", RetentionVerb.ERASE.value, part.retention_class, "", at, reason, evidence
            )
        )
    return orders


def erase(
    place: Place, store: Store, request: Request, session: str, tokens: Sequence[str], *, is_dry: bool
) -> tuple[list[RetentionAction], list[Part]]:
    """Check and order. Raises ConfigError, ErasureRefused, Unreachable."""
    request.check()
    parts = find_parts(store, session, tokens)
    check_allowed(store, parts, list_holds(place), place.settings.retention)
    orders = make_orders(parts, request, place.settings.retention, now_us())
    if not is_dry:
        send_orders(place, orders)
    return orders, parts


def list_copies(store: Store, sessions: Sequence[str], at: int) -> list[dict[str, Any]]:
    """Where copies of what is erased live on, and until when if that is known (µs)."""
    copies: list[dict[str, Any]] = []
    for name in (SESSIONS, FACTS, DETECTIONS, DEADLETTER):
        kept_ms = find_longest_ms(BY_NAME[name])
        copies.append({"where": f"kafka {name}", "until": at + kept_ms * 1000, "what": "goes by itself"})
    for row in store.rows(DELIVERED, {"sessions": list(sessions)}):
        what = f"{row['items']} messages: ask its operator"
        copies.append({"where": f"{row['sink']} {row['target']}", "until": 0, "what": what})
    copies.append({"where": "files of `custody evidence export`", "until": 0, "what": "wherever they were handed to"})
    copies.append({"where": "backups of the home, of Kafka and of the store", "until": 0, "what": "yours to know"})
    return copies
