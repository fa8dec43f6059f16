"""The facts stage: what detection needs to know of each event, without content, re-keyed by agent.

One agent's sessions lie in many partitions; its facts lie in one. Each sessions batch gives one `FactBatch` per agent,
in order of first appearance. After a restart, batches behind the last progress come again; whoever reads facts skips
what it has absorbed by (origin, index), see `Absorbed`.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from confluent_kafka import Consumer, murmur2

from processors.origins import OriginChain
from processors.stage import Partition, Stage
from schemas import topics
from schemas.errors import RecordError
from schemas.events import EventKind, Progress, Verdict
from schemas.wire import framing, kafka

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

_PREFIX: Final = framing.prefix_of("FactBatch")


def is_failure(event: Mapping[str, Any]) -> bool:
    """Whether an event says that something was refused or failed: verdict, error text, SQLSTATE or HTTP status."""
    if event["verdict"] == Verdict.DENY or event["error"]:
        return True
    status: str = event["status"]
    if len(status) == 5:
        return status[:2] not in ("00", "01", "02")
    return len(status) == 3 and status.isdigit() and status >= "400"


def facts_of(batch: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """The facts of a sessions batch (decoded fields), by agent."""
    offset: int = batch["origin"]["offset"]
    sessions = batch["sessions"]
    found: dict[str, list[dict[str, Any]]] = {}
    for position, item in enumerate(batch["events"]):
        event = item["event"]
        if event["kind"] in FACT_KINDS:
            context = sessions[item["session"]]
            found.setdefault(context["agent"], []).append(_fact(offset, position, context, event))
    return found


def _fact(offset: int, position: int, context: Mapping[str, Any], event: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "offset": offset,
        "position": position,
        "session_id": context["session_id"],
        "seq": event["seq"],
        "at": event["at"],
        "agent": context["agent"],
        "principal": context["principal"],
        "resource": context["resource"],
        "kind": event["kind"],
        # An outcome does not repeat its request's class; result rows came from reading.
        "operation": event["operation"] or ("read" if event["payload_type"] == "rows" else ""),
        "verdict": event["verdict"],
        "status": event["status"],
        "is_failed": is_failure(event),
        "rows": event["rows"],
        "bytes": event["bytes"],
        "objects": event["objects"],
    }


def encode_facts(origin: Mapping[str, Any], index: int, count: int, facts: list[dict[str, Any]]) -> bytes:
    """A framed FactBatch."""
    body = {"origin": origin, "index": index, "count": count, "facts": facts}
    return _PREFIX + framing.encode_body("FactBatch", body)


class FactsStage(Stage):
    """sessions -> facts."""

    component: ClassVar[str] = "facts"
    source: ClassVar[str] = topics.SESSIONS
    _fact_partitions: int = topics.DEFAULT_PARTITIONS

    def restore_partition(self, number: int, saved: Progress | None) -> Partition:
        probe = Consumer(self.reader_config)
        try:
            self._fact_partitions = kafka.partition_count(probe, topics.FACTS)
        finally:
            probe.close()
        part = self.resumed(number, saved)
        part.state = OriginChain.load(self.saved_state(saved))
        return part

    def save(self, part: Partition) -> Any:
        return part.state.save()

    async def absorb(self, part: Partition, message: Any) -> None:
        record, batch = framing.decode_fields(message.value or b"")
        if record != "EventBatch" or batch["origin"] is None:
            raise RecordError(f"a {record} on the sessions topic")
        if not self.is_next(part, part.state, batch["origin"]):
            return
        found = facts_of(batch)
        for index, (agent, facts) in enumerate(found.items()):
            key = agent.encode()
            value = encode_facts(batch["origin"], index, len(found), facts)
            await self.send(part, topics.FACTS, murmur2(key, self._fact_partitions), value, key)
