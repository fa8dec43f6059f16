"""Batches as rows of `sessions`, records as rows of the other tables; event_rows.py has those of `events`. Pure.

Numbers that a column cannot hold (a negative count) are brought to its nearest value, so that one bad record never
blocks its partition.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from schemas.events import Detection, LineageEdge, RetentionAction
from sinks.clickhouse.client import Table
from sinks.reader import Batch
from sinks.records import Record
from sinks.regions import read_map

Column = list[Any]

CONTEXT_COLUMNS: Final = {
    "session_id": "session_id",
    "principal": "principal",
    "agent": "agent",
    "delegation": "delegation",
    "run_id": "run_id",
    "resource": "resource",
    "protocol": "protocol",
    "source_ip": "source_ip",
    "source_port": "source_port",
    "client": "client",
    "tls": "tls",
    "upstream": "upstream",
    "opened_at": "opened_at",
    "credential_id": "credential_id",
    "session_attributes": "attributes",
    "retention_class": "retention_class",
}
"""Column -> field of SessionContext."""

SESSION_STATES: Final = {b"session.opened": "opened", b"session.closed": "closed"}
MAX_UINT64: Final = (1 << 64) - 1


def _clamp(high: int) -> Callable[[Column], Column]:
    def clamp(column: Column) -> Column:
        if column and (min(column) < 0 or max(column) > high):
            return [min(max(value, 0), high) for value in column]
        return column

    return clamp


def _as_tuples(column: Column) -> Column:
    return [[tuple(item.values()) for item in value] if value else () for value in column]


_unsigned: Final = _clamp(MAX_UINT64)
CONVERTERS: Final[Mapping[str, Callable[[Column], Column]]] = {
    "delegation": _as_tuples,
    "source_port": _clamp(65_535),
}
"""Fields that are stored in another form than they have in Avro."""


def _convert(name: str, column: Column) -> Column:
    converter = CONVERTERS.get(name)
    return converter(column) if converter else column


def _spread(sessions: list[dict[str, Any]], index: list[int], name: str, field: str) -> Column:
    """A context's field, once an event."""
    values = _convert(name, [session[field] for session in sessions])
    return [values[i] for i in index]


def session_rows(batches: Sequence[Batch]) -> dict[str, Column]:
    """Rows of `sessions`: one where a session opens and one where it closes."""
    names = ("log_id", "partition", "offset", "position", "state", "at", "proxy_id", "proxy_epoch", "events", "ledger")
    table: dict[str, Column] = {name: [] for name in (*names, "reason", *CONTEXT_COLUMNS)}
    for batch in batches:
        if SESSION_STATES.keys().isdisjoint(batch.decoded.kinds):
            continue
        decoded = batch.decoded.decode()
        columns = decoded.columns
        chosen = [position for position, kind in enumerate(columns.kinds) if kind in SESSION_STATES]
        for position in chosen:
            facts = _as_text(read_map(columns.attributes[position]))
            state = SESSION_STATES[columns.kinds[position]]
            row = {
                "log_id": batch.log_id, "partition": batch.partition, "offset": batch.offset, "position": position,
                "state": state, "at": columns.ats[position], "proxy_id": decoded.proxy_id,
                "proxy_epoch": decoded.proxy_epoch, "events": _as_count(facts.get("events", "")),
                "ledger": read_ledger(facts) if state == "closed" else {}, "reason": facts.get("reason", ""),
            }  # fmt: skip
            for name, value in row.items():
                table[name].append(value)
        for name, field in CONTEXT_COLUMNS.items():
            table[name] += _spread(decoded.sessions, [columns.sessions[i] for i in chosen], name, field)
    return table


LEDGER_PREFIX: Final = "bytes."


def read_ledger(facts: Mapping[str, str]) -> dict[str, int]:
    """The byte ledger out of session.closed's attributes."""
    return {
        name.removeprefix(LEDGER_PREFIX): _as_count(value)
        for name, value in facts.items()
        if name.startswith(LEDGER_PREFIX)
    }


def _as_count(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else 0


def _as_text(facts: Mapping[bytes, bytes]) -> dict[str, str]:
    return {key.decode("utf-8", "replace"): value.decode("utf-8", "replace") for key, value in facts.items()}


def detection_rows(items: Sequence[tuple[Record, Detection]]) -> Table:
    """Rows of `detections`."""
    fields = (
        "detection_id", "at", "rule", "rule_version", "severity", "title", "agent", "principal", "resource",
        "session_id", "evidence", "attributes",
    )  # fmt: skip
    return _coordinates([record for record, _ in items]) | {
        **{name: [getattr(detection, name) for _, detection in items] for name in fields},
        "origin_log_id": [detection.origin.log_id for _, detection in items],
        "origin_partition": [detection.origin.partition for _, detection in items],
        "origin_offset": _unsigned([detection.origin.offset for _, detection in items]),
        "origin_position": _clamp(0xFFFFFFFF)([detection.position for _, detection in items]),
    }


def lineage_rows(items: Sequence[tuple[Record, LineageEdge]]) -> Table:
    """Rows of `lineage`."""
    fields = (
        "edge_id", "at", "relation", "label", "token", "from_resource", "from_session", "from_at", "from_agent",
        "from_principal", "to_resource", "to_session", "to_agent", "to_principal", "run_id",
    )  # fmt: skip
    return _coordinates([record for record, _ in items]) | {
        **{name: [getattr(edge, name) for _, edge in items] for name in fields},
        "from_seq": _unsigned([edge.from_seq for _, edge in items]),
        "to_seq": _unsigned([edge.to_seq for _, edge in items]),
        "origin_log_id": [edge.origin.log_id for _, edge in items],
        "origin_partition": [edge.origin.partition for _, edge in items],
        "origin_offset": _unsigned([edge.origin.offset for _, edge in items]),
        "origin_position": _clamp(0xFFFFFFFF)([edge.position for _, edge in items]),
    }


def retention_rows(items: Sequence[tuple[Record, RetentionAction]]) -> Table:
    """Rows of `retention_actions`."""
    fields = ("order_id", "action", "retention_class", "day", "at", "reason", "evidence")
    return _coordinates([record for record, _ in items]) | {
        **{name: [getattr(action, name) for _, action in items] for name in fields},
        "rows": _unsigned([action.rows for _, action in items]),
    }


def _coordinates(records: Sequence[Record]) -> dict[str, Column]:
    return {
        "log_id": [record.log_id for record in records],
        "partition": [record.partition for record in records],
        "offset": [record.offset for record in records],
    }


def pick_rows(table: Table, chosen: Sequence[int]) -> Table:
    """The chosen rows of a table."""
    return {name: [column[i] for i in chosen] for name, column in table.items()}
