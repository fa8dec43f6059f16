"""Sightings in; lineage edges, and the detections that some of them are, out. Pure; the state is JSON data.

A thousand cards that go the same way are a thousand edges and one detection: after one, the same agent, label, source
and target are quiet for ten minutes.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any, Final

from processors.detection.data_flow import ID, VERSION, Place, judge
from processors.detection.flow_memory import FlowMemory
from schemas.events import Detection, LineageEdge, SightingBatch

QUIET_US: Final = 600_000_000
MAX_QUIET: Final = 2_000


class Lineage:
    """One partition of facts. `place_of` says what is known of a resource now."""

    def __init__(self, place_of: Callable[[str], Place], saved: Any = None) -> None:
        self._place_of = place_of
        self._memory = FlowMemory()
        self._quiet: OrderedDict[tuple[str, ...], int] = OrderedDict(
            (tuple(key), until) for key, until in (saved or {}).get("quiet", ())
        )

    def feed(self, offset: int, batch: SightingBatch) -> Iterator[LineageEdge | Detection]:
        """Take one input record in. Each edge comes before the detection that it is."""
        for edge in self._memory.feed(offset, batch.origin, batch.sightings):
            yield edge
            if (detection := self._judge(edge)) is not None:
                yield detection

    def replay(self, offset: int, batch: SightingBatch) -> None:
        """Remember a record whose edges and detections were given before."""
        for _ in self._memory.feed(offset, batch.origin, batch.sightings):
            continue

    def save(self) -> dict[str, Any]:
        """For the constructor; the memory is made again from the input, beginning at `from`."""
        return {"quiet": [[list(key), until] for key, until in self._quiet.items()], "from": self._memory.oldest_offset}

    def _judge(self, edge: LineageEdge) -> Detection | None:
        judged = judge(edge, self._place_of(edge.from_resource), self._place_of(edge.to_resource))
        if judged is None or not self._is_due(
            (edge.to_agent, edge.label, edge.from_resource, edge.to_resource), edge.at
        ):
            return None
        severity, match = judged
        return Detection(
            detection_id=hashlib.sha256(f"{ID}@{VERSION}/{edge.edge_id}".encode()).hexdigest()[:32],
            at=edge.at,
            rule=ID,
            rule_version=VERSION,
            severity=severity.value,
            title=match.title,
            agent=edge.to_agent,
            principal=edge.to_principal,
            resource=edge.to_resource,
            session_id=edge.to_session,
            origin=edge.origin,
            position=edge.position,
            evidence=list(match.evidence),
            attributes=dict(match.attributes),
        )

    def _is_due(self, key: tuple[str, ...], at: int) -> bool:
        if at < self._quiet.get(key, 0):
            return False
        self._quiet[key] = at + QUIET_US
        self._quiet.move_to_end(key)
        if len(self._quiet) > MAX_QUIET:
            self._quiet.popitem(last=False)
        return True
