"""Steps over the Avro bytes of a batch's events and builds nothing but what has to be looked at, and facts. Pure.

The layout is that of `EventBatch.v1.avsc`, spelled out; a test compares what is found here with what the schema's own
reader finds. A reader that makes an object of every field costs several times as much, and nine events in ten go on as
the bytes they are. Positions may run past the end of hostile bytes: a caller checks the last one.
"""

from typing import Final

from schemas.errors import RecordError
from schemas.events import EventKind, Verdict
from schemas.wire.avro import EMPTY, word, zigzag
from schemas.wire.skips import (
    STEPS,
    content_of,
    read_count,
    read_long,
    skip_long,
    skip_parameters,
    skip_text,
    skip_texts,
)
from schemas.wire.tallies import SessionTally

DAY_US: Final = 86_400_000_000
FACT_KINDS: Final = frozenset(
    {
        EventKind.SESSION_OPENED.value,
        EventKind.SESSION_CLOSED.value,
        EventKind.ACTION_DECIDED.value,
        EventKind.ACTION_COMPLETED.value,
        EventKind.FILE_ACCESSED.value,
        EventKind.APPROVAL_REQUESTED.value,
        EventKind.APPROVAL_DECIDED.value,
        EventKind.AUDIT_GAP.value,
    }
)
"""Events that say what came of something; requests and pieces of data do not."""
STRUCTURED: Final = ("rows", "json", "text")
"""Types of payloads that are text of a known structure."""

_FACT_KINDS: Final = frozenset(word(kind) for kind in FACT_KINDS)
_CLOSED: Final = word(EventKind.SESSION_CLOSED.value)
_KINDS: Final = frozenset(word(kind.value) for kind in EventKind)
_OPENED: Final = word(EventKind.SESSION_OPENED.value)
_STRUCTURED: Final = frozenset(word(kind) for kind in STRUCTURED)
_VERDICTS: Final = {index << 1: word(verdict.value) for index, verdict in enumerate(Verdict)}
_DENY: Final = list(Verdict).index(Verdict.DENY) << 1
_REQUESTED: Final = word(EventKind.ACTION_REQUESTED.value)
_GAP: Final = word(EventKind.AUDIT_GAP.value)
VERDICT_NAMES: Final = tuple(verdict.value for verdict in Verdict)
_READ: Final = word("read")
_ROWS: Final = word("rows")
MAX_KNOWN: Final = 8192
MAX_KNOWN_BYTES: Final = 1024
"""Bounds of each part of a vocabulary, and of what is worth remembering."""
_HIGH_US: Final = 1 << 27  # what the last four of a time's eight bytes count in
_NO_DAY: Final = -(1 << 62)


class Vocabulary:
    """Runs of encoded strings that were looked at before and hold nothing to mask: most of a log is repetition.

    `shapes` are an event's fingerprint, parameters, operation and objects; `outcomes` its status and error; `maps` its
    attributes or links. `failures` says of an outcome whether it tells of a failure.
    """

    __slots__ = ("failures", "maps", "outcomes", "shapes")

    def __init__(self) -> None:
        self.shapes: set[bytes] = set()
        self.outcomes: set[bytes] = set()
        self.maps: set[bytes] = {EMPTY}
        self.failures: dict[bytes, bool] = {}


class Walked:
    """What a walk finds. `starts` and `sessions` have one entry an event, `starts` the end besides.

    The other lists come with their owners, the indices of their events. `shapes`, `outcomes` and `maps` are those that
    the vocabulary does not know, `statements` and `others` strings, of which `others` only have to be valid. `odd` are
    events whose payload is no text, `opened` and `closed` those that open and close a session. `facts` are Facts
    without their offset; `days` are (session, day).

    Counts: `counts` by (session, kind, verdict's branch, has an error); `rows` by session; `firsts` are (session, its
    first seq); `masked` by event, of what was masked before.
    """

    __slots__ = (
        "closed", "counts", "days", "fact_owners", "facts", "firsts", "map_owners", "maps", "masked", "odd", "opened",
        "others", "outcome_owners", "outcomes", "payload_owners", "payload_types", "payloads", "rows", "sessions",
        "shape_owners", "shapes", "starts", "statement_owners", "statements",
    )  # fmt: skip

    def __init__(self) -> None:
        self.starts: list[int] = []
        self.sessions: list[int] = []
        self.closed: list[int] = []
        self.counts: dict[tuple[int, bytes, int, bool], int] = {}
        self.rows: dict[int, int] = {}
        self.firsts: list[tuple[int, int]] = []
        self.masked: dict[int, int] = {}
        self.days: set[tuple[int, int]] = set()
        self.facts: list[bytes] = []
        self.fact_owners: list[int] = []
        self.shapes: list[bytes] = []
        self.shape_owners: list[int] = []
        self.outcomes: list[bytes] = []
        self.outcome_owners: list[int] = []
        self.maps: list[bytes] = []
        self.map_owners: list[int] = []
        self.statements: list[bytes] = []
        self.statement_owners: list[int] = []
        self.payloads: list[bytes] = []
        self.payload_owners: list[int] = []
        self.payload_types: list[bytes] = []
        self.odd: list[int] = []
        self.opened: list[int] = []
        self.others: list[bytes] = []


def walk_events(
    b: bytes, p: int, count: int, ids: list[bytes], actors: list[bytes], known: Vocabulary, found: Walked
) -> int:
    """Step over `count` events from `p` on; the position after them. Raises RecordError, IndexError.

    `ids` and `actors` are each session's encoded id, and agent, principal and resource. One long function, since it
    runs once an event: calls and attributes would cost more than all the rest.
    """
    steps = STEPS
    shapes, outcomes, maps, failures = known.shapes, known.outcomes, known.maps, known.failures
    starts, sessions, others = found.starts, found.sessions, found.others
    counts, row_counts = found.counts, found.rows
    session_count = len(ids)
    last_days = [_NO_DAY] * session_count
    last_high, last_day = b"", _NO_DAY
    for index in range(count):
        starts.append(p)
        session = b[p]
        if session & 0x81:
            session, p = read_long(b, p)
        else:
            session >>= 1
            p += 1
        if not 0 <= session < session_count:
            raise RecordError("an event belongs to no session of the batch")
        sessions.append(session)
        seq = p
        p = p + 1 if b[p] < 128 else skip_long(b, p)
        at = p
        p = skip_long(b, p)
        # The upper half of a time tells its day, but for two minutes around midnight.
        high = b[at + 4 : p] if p - at == 8 else b""  # compiled code must not slice backwards
        if high != last_high:
            last_high, last_day = high, _day_of_high(b, at, p)
        day = last_day if last_day != _NO_DAY else read_long(b, at)[0] // DAY_US
        if last_days[session] == _NO_DAY:
            found.firsts.append((session, read_long(b, seq)[0]))
        if day != last_days[session]:
            last_days[session] = day
            found.days.add((session, day))
        kind_at = p
        step = steps[b[p]]
        p = p + step if step else skip_text(b, p)
        kind = b[kind_at:p]
        if kind not in _KINDS:
            others.append(content_of(b, kind_at, p))
        start = p
        step = steps[b[p]]
        p = p + step if step else skip_text(b, p)
        others.append(b[start + 1 : p] if step else content_of(b, start, p))  # action_id
        start = p
        step = steps[b[p]]
        p = p + step if step else skip_text(b, p)
        if step != 1:
            found.statements.append(content_of(b, start, p))
            found.statement_owners.append(index)
        shape = p
        step = steps[b[p]]
        p = p + step if step else skip_text(b, p)
        p = skip_parameters(b, p) if b[p] else p + 1
        operation = p
        step = steps[b[p]]
        p = p + step if step else skip_text(b, p)
        objects = p
        p = skip_texts(b, p) if b[p] else p + 1
        verdict = p
        region = b[shape:p]
        if region not in shapes:
            found.shapes.append(region)
            found.shape_owners.append(index)
        p += 1
        status = p
        step = steps[b[p]]
        p = p + step if step else skip_text(b, p)
        error = p
        step = steps[b[p]]
        p = p + step if step else skip_text(b, p)
        outcome, outcome_end = b[status:p], p
        if outcome not in outcomes:
            found.outcomes.append(outcome)
            found.outcome_owners.append(index)
        rows = p
        if b[p]:
            n, p = read_long(b, p)
            row_counts[session] = row_counts.get(session, 0) + n
        else:
            p += 1
        p = p + 1 if b[p] < 128 else skip_long(b, p)
        duration = p
        p = p + 1 if b[p] < 128 else skip_long(b, p)
        if b[p]:
            start = p
            p = skip_texts(b, p, 2)
            region = b[start:p]
            if region not in maps:
                found.maps.append(region)
                found.map_owners.append(index)
        else:
            p += 1
        payload = p
        step = steps[b[p]]
        p = p + step if step else skip_text(b, p)
        has_payload = step != 1
        start = p
        step = steps[b[p]]
        p = p + step if step else skip_text(b, p)
        payload_type = b[start:p]
        if payload_type in _STRUCTURED:
            if has_payload:
                found.payloads.append(content_of(b, payload, start))
                found.payload_owners.append(index)
                found.payload_types.append(payload_type)
        else:
            others.append(content_of(b, start, p))
            if has_payload:
                found.odd.append(index)
        p = p + 1 if b[p] < 128 else skip_long(b, p)  # payload_bytes
        step = steps[b[p]]
        p = p + step if step else skip_text(b, p)  # payload_digest
        p += 1  # is_truncated
        if b[p]:
            found.masked[index], p = _read_masked(b, p, others)
        else:
            p += 1
        if b[p]:
            start = p
            p = skip_texts(b, p, 2)
            region = b[start:p]
            if region not in maps:
                found.maps.append(region)
                found.map_owners.append(index)
        else:
            p += 1
        step = steps[b[p]]
        p = p + step if step else skip_text(b, p)  # opening
        ruling = b[verdict]
        if ruling not in _VERDICTS:
            raise RecordError("an unknown verdict")
        tally = (session, kind, ruling, error + 1 != outcome_end)
        counts[tally] = counts.get(tally, 0) + 1
        if kind in _FACT_KINDS:
            if kind == _OPENED:
                found.opened.append(index)
            elif kind == _CLOSED:
                found.closed.append(index)
            failure = failures.get(outcome)
            if failure is None:
                failure = _note_failure(failures, outcome, error - status)
            named = b[operation:objects]
            if payload_type == _ROWS and named == EMPTY:
                named = _READ  # an outcome does not repeat its request's class; result rows came from reading
            found.fact_owners.append(index)
            found.facts.append(
                b"".join(
                    (
                        zigzag(index), ids[session], b[seq:kind_at], actors[session], kind, named, _VERDICTS[ruling],
                        b[status:error],
                        b"\x01" if failure or ruling == _DENY else EMPTY, b[rows:duration], b[objects:verdict],
                    )
                )
            )  # fmt: skip
    starts.append(p)
    return p


def _day_of_high(b: bytes, at: int, end: int) -> int:
    """The day of all times that share the upper bytes of this one, or _NO_DAY."""
    if end - at != 8:
        return _NO_DAY
    low = read_long(b, at)[0] // _HIGH_US * _HIGH_US
    day = low // DAY_US
    return day if (low + _HIGH_US - 1) // DAY_US == day else _NO_DAY


def _note_failure(failures: dict[bytes, bool], outcome: bytes, length: int) -> bool:
    """Whether a status (the first `length` bytes, encoded) and an error tell of a failure; remembered, bounded."""
    status = content_of(outcome, 0, length).decode("utf-8", "replace")
    failure = outcome[length:] != EMPTY or is_failed_status(status)
    if len(failures) >= MAX_KNOWN:
        failures.clear()
    if len(outcome) <= MAX_KNOWN_BYTES:
        failures[outcome] = failure
    return failure


def is_failed_status(status: str) -> bool:
    """Whether a SQLSTATE or HTTP status says that something failed."""
    if len(status) == 5:
        return status[:2] not in ("00", "01", "02")
    return len(status) == 3 and status.isdigit() and status >= "400"


def _read_masked(b: bytes, p: int, others: list[bytes]) -> tuple[int, int]:
    """Sum of the counts of an array of Masked (label, count, token, place), and its end; its strings go to `others`."""
    total = 0
    while True:
        n, p = read_count(b, p)
        if n == 0:
            return total, p
        for _ in range(n):
            start, p = p, skip_text(b, p)
            others.append(content_of(b, start, p))
            count, p = read_long(b, p)
            total += count
            for _ in range(2):
                start, p = p, skip_text(b, p)
                others.append(content_of(b, start, p))


def tally_sessions(walked: Walked, session_ids: list[str], masked: dict[int, int]) -> list[SessionTally]:
    """What the walk counted, by session in order of appearance. `masked` are counts by event that count instead."""
    tallies = {session: SessionTally(session_ids[session], seq) for session, seq in walked.firsts}
    for (session, kind, ruling, has_error), count in walked.counts.items():
        tally = tallies[session]
        if ruling:
            name = VERDICT_NAMES[ruling >> 1]
            tally.verdicts[name] = tally.verdicts.get(name, 0) + count
        if kind == _REQUESTED:
            tally.actions += count
        elif kind == _GAP:
            tally.gaps += count
        if has_error:
            tally.errors += count
    for session, rows in walked.rows.items():
        tallies[session].rows = rows
    for owner, count in (walked.masked | masked).items():
        tallies[walked.sessions[owner]].masked += count
    return list(tallies.values())
