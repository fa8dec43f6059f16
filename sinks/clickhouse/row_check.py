"""Whether a row of `events` says in its columns what its committed bytes say: what opens its leaf, and what differs."""

import io
from collections.abc import Mapping
from typing import Any, Final

import fastavro

from schemas.errors import ProofError
from schemas.holds import HELD
from schemas.wire import framing
from sinks.transparency.audit import Found

MAX_UNSIGNED: Final = (1 << 64) - 1

ROWS: Final = """
SELECT * EXCEPT (at, opened_at), toUnixTimestamp64Micro(at) AS at, toUnixTimestamp64Micro(opened_at) AS opened_at
FROM custody.events
WHERE log_id = {log_id:String} AND partition = {partition:UInt32}
  AND offset >= {first:UInt64} AND offset <= {last:UInt64}
"""
"""A range of origins, for `judge_row`; strings as bytes."""


def judge_row(row: Mapping[str, Any]) -> Found:
    """What opens a leaf, and whether the other columns say the same."""
    held = _as_bytes(row["retention_class"]) == HELD.encode()
    return Found(_as_bytes(row["opening"]), _as_bytes(row["canonical"]), find_difference(row), held)


class _Canonical:
    """Decodes canonical bytes: one parsed schema a version of EventBatch."""

    def __init__(self) -> None:
        self._parsed = {}
        for version in framing.versions_of("EventBatch"):
            document = framing.load_avsc("EventBatch", version)
            fields = {field["name"]: field["type"] for field in document["fields"]}
            event = next(item["type"] for item in fields["events"]["items"]["fields"] if item["name"] == "event")
            stored = {
                "type": "record",
                "name": "StoredEvent",
                "namespace": "custody.v1",
                "fields": [
                    {"name": "schema_fingerprint", "type": "bytes"},
                    {"name": "session", "type": fields["sessions"]["items"]},
                    {"name": "event", "type": event},
                ],
            }
            self._parsed[framing.schema_fingerprint(document)] = fastavro.parse_schema(stored)

    def read(self, canonical: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
        """(session, event). Raises ProofError."""
        schema = self._parsed.get(canonical[1:9])
        if schema is None:
            raise ProofError("its canonical bytes name no schema that is known here")
        try:
            value: Any = fastavro.schemaless_reader(
                io.BytesIO(canonical), schema, None, handle_unicode_errors="surrogateescape"
            )
        except Exception as error:  # hostile bytes make the reader raise almost anything
            raise ProofError(f"its canonical bytes cannot be read: {type(error).__name__}") from None
        return value["session"], value["event"]


_canonical: Final = _Canonical()
_COUNTERS: Final = frozenset({"seq", "rows", "bytes", "duration_us", "payload_bytes"})


def find_difference(row: Mapping[str, Any]) -> str:
    """Which columns of a row are not what its canonical bytes say; empty when all are."""
    try:
        context, event = _canonical.read(_as_bytes(row["canonical"]))
    except ProofError as error:
        return str(error)
    wanted = {**context, "session_attributes": context["attributes"], **event}
    if _as_bytes(row["retention_class"]) == HELD.encode():
        # A row that a legal hold moved says beside it of which class it is.
        row = {**row, "retention_class": row.get("held_from", b"")}
    different = [
        name
        for name, value in wanted.items()
        if name in row and name != "opening" and _normalize(row[name]) != _normalize(_as_column(name, value))
    ]
    return f"its columns {', '.join(sorted(different))} are not what its committed bytes say" if different else ""


def _as_column(name: str, value: Any) -> Any:
    """A field as the store keeps it: what a column cannot hold is brought to its nearest value."""
    if name in _COUNTERS:
        return min(max(value, 0), MAX_UNSIGNED)
    if name == "source_port":
        return min(max(value, 0), 65_535)
    return value.hex() if name == "payload_digest" else value


def _normalize(value: Any) -> Any:
    """Texts as bytes, records and tuples as lists of their values."""
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape")
    if isinstance(value, Mapping):
        return {_normalize(key): _normalize(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [list(_normalize(item).values()) if isinstance(item, dict) else _normalize(item) for item in value]
    return value


def _as_bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogateescape")
