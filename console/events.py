"""An event as the console reads it back from the store."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from console.output import iso_time
from schemas.events import EventKind


@dataclass(frozen=True, slots=True)
class Row:
    """One stored event with what the console shows of it."""

    session_id: str
    seq: int
    at: datetime
    kind: str
    agent: str = ""
    principal: str = ""
    resource: str = ""
    action_id: str = ""
    statement: str = ""
    parameters: tuple[str | None, ...] = ()
    operation: str = ""
    objects: tuple[str, ...] = ()
    verdict: str = ""
    status: str = ""
    error: str = ""
    rows: int = 0
    bytes: int = 0
    duration_us: int = 0
    attributes: Mapping[str, str] = field(default_factory=dict)
    payload: str = ""
    payload_type: str = ""
    payload_bytes: int = 0
    is_truncated: bool = False
    masked: tuple[tuple[str, int, str, str], ...] = ()

    @property
    def action_number(self) -> str:
        """`3` of the action id `<session>.3`."""
        return self.action_id.rpartition(".")[2]


def row_from(record: Mapping[str, Any]) -> Row:
    """A row out of what the queries of console/queries.py give."""
    known = {name: record[name] for name in Row.__slots__ if name in record}
    known["parameters"] = tuple(record.get("parameters", ()))
    known["objects"] = tuple(record.get("objects", ()))
    known["attributes"] = dict(record.get("attributes", {}))
    known["payload"] = _as_text(record.get("payload", ""))
    known["masked"] = tuple(_masked_from(item) for item in record.get("masked", ()))
    known["is_truncated"] = bool(record.get("is_truncated", False))
    return Row(**known)


def as_document(row: Row) -> dict[str, Any]:
    """An event for JSON output."""
    document = {name: getattr(row, name) for name in Row.__slots__}
    document["at"] = iso_time(row.at)
    names = ("label", "count", "token", "place")
    document["masked"] = [dict(zip(names, item, strict=True)) for item in row.masked]
    return document


@dataclass(frozen=True, slots=True)
class ResultRows:
    """What was recorded of an answer's rows."""

    columns: list[str]
    rows: list[list[Any]]


def result_rows(row: Row) -> ResultRows | None:
    """The recorded rows of an action, if that is what its payload is."""
    if row.kind != EventKind.ACTION_COMPLETED or row.payload_type != "rows":
        return None
    try:
        document = json.loads(row.payload)
        columns, rows = document["columns"], document["rows"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    if not isinstance(columns, list) or not isinstance(rows, list):
        return None
    width = len(columns)
    even = [[*cells[:width], *([None] * (width - len(cells)))] for cells in rows if isinstance(cells, list)]
    return ResultRows([str(column) for column in columns], even)


def _masked_from(item: Any) -> tuple[str, int, str, str]:
    if isinstance(item, Mapping):
        return str(item["label"]), int(item["count"]), str(item["token"]), str(item.get("place", ""))
    label, count, token, place = (*item, "")[:4]
    return str(label), int(count), str(token), str(place)


def _as_text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
