"""Legal holds in a file of evidence: holds.json opens the leaves of those that concern its records. Pure.

    {"<hold id>": {"placed": "<payload>", "released": "<payload, or empty>", "sessions": ["<id>", …] or null}}

A payload is the text that the hold's leaf commits to. `sessions` are those of the file that the hold takes in, by the
word of who wrote it; null: it names none. A hold that is not disclosed shows as a leaf whose text is not there.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from sinks.transparency.leaf import HoldLeaf, commit
from sinks.transparency.orders import HoldSpan

HOLDS_FILE: Final = "holds.json"


def read_spans(document: Mapping[str, Any], leaves: Sequence[tuple[int, HoldLeaf]]) -> tuple[list[HoldSpan], list[str]]:
    """The holds that the file opens, and what is wrong with them. Raises KeyError, TypeError, ValueError."""
    spans, faults = [], []
    for id, item in sorted(document.items()):
        own = [(index, leaf) for index, leaf in leaves if leaf.hold_id == id]
        placed = [index for index, leaf in own if leaf.is_placed]
        released = [index for index, leaf in own if not leaf.is_placed]
        closed = [index for index, leaf in own if not _opens(item["placed" if leaf.is_placed else "released"], leaf)]
        if closed or not placed:
            faults.append(f"legal hold {id} in the file is not what the log committed to")
            continue
        payload = json.loads(item["placed"])
        sessions = None if item["sessions"] is None else frozenset(str(name) for name in item["sessions"])
        if payload.get("session"):
            sessions = frozenset({str(payload["session"])})
        since, until = int(payload.get("since", 0)), int(payload.get("until", 0))
        spans.append(HoldSpan(id, placed[0], released[0] if released else None, sessions, since, until))
    return spans, faults


def count_undisclosed(document: Mapping[str, Any], leaves: Iterable[tuple[int, HoldLeaf]]) -> int:
    """Holds of the log that the file says nothing of."""
    return len({leaf.hold_id for _, leaf in leaves} - document.keys())


def _opens(text: str, leaf: HoldLeaf) -> bool:
    return bool(text) and commit(bytes.fromhex(json.loads(text)["opening"]), text.encode()) == leaf.commitment
