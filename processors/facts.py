"""The facts stage: what detection needs to know of each event, without content, re-keyed by agent.

One agent's sessions lie in many partitions; its facts lie in one. Each sessions batch gives one `FactBatch` per agent,
in order of first appearance; those for one partition go together (gathering.py). After a restart, batches behind the
last progress come again; whoever reads facts skips what it has absorbed by (origin, index), see `Absorbed`.
"""

from typing import Any, ClassVar, Final

from confluent_kafka import Consumer, murmur2

from processors.app import StageApp
from processors.gathering import Gatherer
from processors.heads import read_facts, read_flows
from processors.origins import OriginChain
from processors.stage import Partition, Stage
from schemas import topics
from schemas.config import Settings
from schemas.events import Progress
from schemas.runtime import Home
from schemas.wire import kafka

FLOW_KEY: Final = b"custody-flow"
"""Key of the records that hold sightings; their partition follows from their bucket, that of facts from the agent."""


class FactsStage(Stage):
    """sessions -> facts."""

    component: ClassVar[str] = "facts"
    source: ClassVar[str] = topics.SESSIONS
    _fact_partitions: int = topics.DEFAULT_PARTITIONS

    def __init__(self, settings: Settings, home: Home, app: StageApp) -> None:
        super().__init__(settings, home, app)
        self._gatherer = Gatherer(self, self._lock, topics.FACTS)

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
        value, headers = message.value or b"", dict(message.headers or {})
        origin, found = read_facts(value, headers)
        flows = read_flows(value, headers)
        if not self.is_next(part, part.state, origin):
            return
        for agent, facts in found.items():
            await self._gatherer.add(part, murmur2(agent.encode(), self._fact_partitions), facts)
        for bucket, sightings in flows.items():
            await self._gatherer.add(part, bucket % self._fact_partitions, sightings, FLOW_KEY)

    async def release(self) -> None:
        await self._gatherer.release()
