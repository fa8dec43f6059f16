"""Remembers where values were seen, and tells when one goes on to another resource: a lineage edge. Pure.

An edge leads from the *first* sighting of a value, among those that have an agent, a run or a delegation chain in
common with a request, to that request. If the first one is itself a request, the agent had the value from elsewhere,
and there is no edge. Sightings of several partitions come in any order: a late answer still finds its request.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from schemas.events import LineageEdge, Origin, Sighting

MAX_SIGHTINGS: Final = 50_000
"""Remembered per partition; beyond it the value that was seen first longest ago is forgotten."""
MAX_PER_VALUE: Final = 64
MAX_AGE_US: Final = 6 * 3_600_000_000
"""How long after a value was first seen its flow is still found."""


@dataclass(slots=True)
class Seen:
    """One sighting of one value. `has_edge` says of a request that its edge is known."""

    session_id: str
    seq: int
    at: int
    began: int
    agent: str
    principal: str
    run_id: str
    chain: frozenset[str]
    resource: str
    is_received: bool
    label: str
    origin: Origin
    position: int
    has_edge: bool = False


@dataclass(slots=True)
class _Value:
    """A value's sightings, in order of arrival, and the input offset of the first."""

    offset: int
    at: int
    seen: list[Seen] = field(default_factory=list)


class FlowMemory:
    """The values of one partition of facts."""

    def __init__(self, max_sightings: int = MAX_SIGHTINGS) -> None:
        self._values: OrderedDict[str, _Value] = OrderedDict()
        self._limit = max_sightings
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def oldest_offset(self) -> int | None:
        """The input offset from which on this memory could be made again; None when it is empty."""
        return next(iter(self._values.values())).offset if self._values else None

    def feed(self, offset: int, origin: Origin, sightings: Iterable[Sighting]) -> Iterator[LineageEdge]:
        """Take the sightings of one input record in; the edges that they complete."""
        for sighting in sightings:
            self._forget_before(sighting.at - MAX_AGE_US)
            chain = frozenset((sighting.agent, *sighting.chain))
            for value in sighting.values:
                seen = Seen(
                    sighting.session_id, sighting.seq, sighting.at, sighting.began, sighting.agent, sighting.principal,
                    sighting.run_id, chain, sighting.resource, sighting.is_received, value.label, origin,
                    sighting.position,
                )  # fmt: skip
                yield from self._take(offset, value.token, seen)

    def _take(self, offset: int, token: str, new: Seen) -> Iterator[LineageEdge]:
        value = self._values.get(token)
        if value is None:
            value = self._values[token] = _Value(offset, new.at)
        if any(known.session_id == new.session_id and known.is_received == new.is_received for known in value.seen):
            return
        self._keep(value, new)
        waiting = [new] if not new.is_received else [s for s in value.seen if not s.is_received and not s.has_edge]
        for request in waiting:
            source = _source_of(request, value.seen)
            if source is not None and (new is request or new is source):
                request.has_edge = True
                yield _edge(token, source, request, new)

    def _keep(self, value: _Value, new: Seen) -> None:
        """Bounded: of a value seen in very many places, requests whose edge is known go first."""
        if len(value.seen) >= MAX_PER_VALUE:
            known = next((seen for seen in value.seen if seen.has_edge), value.seen[-1])
            value.seen.remove(known)
            self._count -= 1
        value.seen.append(new)
        self._count += 1
        while self._count > self._limit and len(self._values) > 1:
            self._forget_first()

    def _forget_before(self, at: int) -> None:
        while self._values and next(iter(self._values.values())).at < at:
            self._forget_first()

    def _forget_first(self) -> None:
        _, value = self._values.popitem(last=False)
        self._count -= len(value.seen)


def relation_of(one: Seen, other: Seen) -> str:
    """What two sightings have in common: agent, run or chain; empty when nothing."""
    if one.agent == other.agent:
        return "agent"
    if one.run_id and one.run_id == other.run_id:
        return "run"
    return "" if one.chain.isdisjoint(other.chain) else "chain"


def _source_of(request: Seen, seen: Iterable[Seen]) -> Seen | None:
    """The answer in which a request's value was first seen; None when it was no answer, or of the same resource."""
    before = [known for known in seen if known.began <= request.at and known is not request]
    related = [known for known in before if relation_of(known, request)]
    # An answer goes before a request of the same moment: it began earlier than it is told.
    first = min(related, key=lambda known: (known.began, not known.is_received), default=None)
    if first is None or not first.is_received or first.resource == request.resource:
        return None
    return first


def _edge(token: str, source: Seen, request: Seen, completing: Seen) -> LineageEdge:
    names = (token, source.session_id, str(source.seq), request.session_id, str(request.seq))
    return LineageEdge(
        edge_id=hashlib.sha256("\0".join(names).encode()).hexdigest()[:32],
        at=request.at,
        relation=relation_of(source, request),
        label=request.label or source.label,
        token=token,
        from_resource=source.resource,
        from_session=source.session_id,
        from_seq=source.seq,
        from_at=source.at,
        from_agent=source.agent,
        from_principal=source.principal,
        to_resource=request.resource,
        to_session=request.session_id,
        to_seq=request.seq,
        to_agent=request.agent,
        to_principal=request.principal,
        run_id=request.run_id,
        origin=completing.origin,
        position=completing.position,
    )
