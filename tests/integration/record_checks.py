"""What must hold of the record in ClickHouse after agents were served: faults out, none when all is well."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from tests.integration.agents import MARK_SQL, Ledger

SHOWN: Final = 10

Read = Callable[[str], list[dict[str, Any]]]
"""The rows of a query."""

REPEATED_COORDINATES: Final = """
SELECT log_id, partition, offset, position, count() AS times FROM custody.events
GROUP BY log_id, partition, offset, position HAVING times > 1 LIMIT 20
"""
REPEATED_SEQS: Final = """
SELECT session_id, seq, count() AS times FROM custody.events GROUP BY session_id, seq HAVING times > 1 LIMIT 20
"""
SEQ_HOLES: Final = """
SELECT session_id, min(seq) AS first, max(seq) AS last, uniqExact(seq) AS found, groupUniqArray(kind) AS kinds
FROM custody.events GROUP BY session_id HAVING first != 1 OR last != found LIMIT 20
"""
ORIGINS: Final = """
SELECT log_id, partition, min(offset) AS first, max(offset) AS last, uniqExact(offset) AS found
FROM custody.events GROUP BY log_id, partition
"""
POSITION_HOLES: Final = """
SELECT log_id, partition, offset, min(position) AS first, max(position) AS last, uniqExact(position) AS found
FROM custody.events GROUP BY log_id, partition, offset HAVING first != 0 OR last != found - 1 LIMIT 20
"""
REPEATED_DETECTIONS: Final = """
SELECT detection_id, count() AS times FROM custody.detections GROUP BY detection_id HAVING times > 1 LIMIT 20
"""
REPEATED_CLOSINGS: Final = """
SELECT session_id, state, count() AS times FROM custody.sessions GROUP BY session_id, state HAVING times > 1 LIMIT 20
"""
LOSSES: Final = """
SELECT session_id, seq, attributes FROM custody.events
WHERE kind = 'audit.gap' AND (mapContains(attributes, 'lost_events') OR attributes['reason'] != 'duplicate') LIMIT 20
"""
REQUESTS: Final = f"""
SELECT extractAll(concat(statement, ' ', arrayStringConcat(arrayMap(p -> ifNull(p, ''), parameters), ' ')),
                  '{MARK_SQL}') AS marks, action_id
FROM custody.events WHERE kind = 'action.requested' AND length(marks) > 0
"""
OUTCOMES: Final = "SELECT action_id, status FROM custody.events WHERE kind = 'action.completed'"

NONE_OF: Final = {
    "coordinates are stored twice": REPEATED_COORDINATES,
    "a seq is stored twice in its session": REPEATED_SEQS,
    "a session's seq has a hole": SEQ_HOLES,
    "a batch's positions have a hole": POSITION_HOLES,
    "a detection is stored twice": REPEATED_DETECTIONS,
    "a session changed state twice": REPEATED_CLOSINGS,
    "the record owns to a loss": LOSSES,
}


def find_faults(read: Read, ledger: Ledger, written: Iterable[str], raw_ends: Mapping[int, int]) -> list[str]:
    """Everything that is wrong. `written` are the marks in the upstream's table, `raw_ends` the raw topic's ends."""
    faults = [f"{what}: {row}" for what, sql in NONE_OF.items() for row in read(sql)[:SHOWN]]
    faults += check_origins(read(ORIGINS), raw_ends)
    requests: dict[str, list[str]] = {}
    for row in read(REQUESTS):
        for mark in set(row["marks"]):
            requests.setdefault(mark, []).append(row["action_id"])
    outcomes: dict[str, list[str]] = {}
    for row in read(OUTCOMES):
        outcomes.setdefault(row["action_id"], []).append(row["status"])
    faults += check_actions(ledger, requests, outcomes)
    return faults + check_written(written, requests)


def check_origins(rows: Iterable[Mapping[str, Any]], raw_ends: Mapping[int, int]) -> list[str]:
    """One log; in each partition every origin from the first to the raw topic's last."""
    found = {row["partition"]: row for row in rows}
    faults = []
    for partition, end in raw_ends.items():
        row = found.pop(partition, {"first": 0, "last": -1, "found": 0})
        if (row["first"], row["last"], row["found"]) != (0, end - 1, end):
            faults.append(f"partition {partition} has raw records 0 to {end - 1}, stored are {dict(row)}")
    return faults + [f"origins of an unknown partition: {row}" for row in found.values()]


def check_actions(ledger: Ledger, requests: Mapping[str, list[str]], outcomes: Mapping[str, list[str]]) -> list[str]:
    """What was answered stands there once with that outcome; what was tried stands there once at most."""
    faults = []
    for mark, status in ledger.acknowledged.items():
        ids = requests.get(mark, [])
        if len(ids) != 1:
            faults.append(f"{mark} was answered and is recorded {len(ids)} times as requested")
        elif outcomes.get(ids[0]) != [status]:
            faults.append(f"{mark} was answered with {status}; recorded outcomes: {outcomes.get(ids[0], [])}")
    for mark in ledger.tried - ledger.acknowledged.keys():
        ids = requests.get(mark, [])
        if len(ids) > 1 or any(len(outcomes.get(id, [])) > 1 for id in ids):
            faults.append(f"{mark} was tried once and is recorded more than once")
    unknown = requests.keys() - ledger.tried
    return faults + [f"{mark} is recorded and was never tried" for mark in sorted(unknown)]


def check_written(written: Iterable[str], requests: Mapping[str, list[str]]) -> list[str]:
    """Whatever the upstream did is on record: a write goes there only when its request is durable."""
    counts = Counter(written)
    faults = [f"{mark} reached the upstream {times} times" for mark, times in counts.items() if times > 1]
    return faults + [f"{mark} reached the upstream and is not on record" for mark in counts if mark not in requests]
