"""Whether the broker keeps what a proxy's gate rests on: the raw topic's replicas, as the settings promise them.

An acknowledged batch is on `kafka.min_insync_replicas` brokers. A topic made by other hands may be satisfied with
fewer, or let a broker lead that has not all of it; both would show only after a broker was lost.
"""

import asyncio
import logging
from typing import Final

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource

from schemas.config import Settings
from schemas.errors import ConfigError, Unreachable
from schemas.runtime import Home
from schemas.topics import RAW
from schemas.wire import kafka

ASK_AGAIN_S: Final = 2.0
COMPONENT: Final = "proxy"

log = logging.getLogger(__name__)


def find_weakness(settings: Settings, home: Home) -> str:
    """What the raw topic lacks, empty when nothing. Raises Unreachable."""
    wanted = settings.kafka
    admin = AdminClient(kafka.client_config(settings, home, COMPONENT))
    resource = ConfigResource(ConfigResource.Type.TOPIC, RAW)
    try:
        config = admin.describe_configs([resource], request_timeout=kafka.TIMEOUT_S)[resource].result(kafka.TIMEOUT_S)
        topic = admin.list_topics(RAW, timeout=kafka.TIMEOUT_S).topics[RAW]
    except (KafkaException, TimeoutError) as error:
        raise Unreachable(f"topic {RAW}: {error}") from None
    replicas = min((len(partition.replicas) for partition in topic.partitions.values()), default=0)
    if not replicas:
        raise Unreachable(f"topic {RAW}: not there yet")
    if replicas < wanted.replication:
        return f"{RAW} has {replicas} replicas; kafka.replication promises {wanted.replication}"
    in_sync = int(config["min.insync.replicas"].value)
    if in_sync < wanted.min_insync_replicas:
        return f"{RAW} is satisfied with {in_sync}; kafka.min_insync_replicas promises {wanted.min_insync_replicas}"
    if replicas > 1 and config["unclean.leader.election.enable"].value == "true":
        return f"{RAW} allows unclean.leader.election, by which acknowledged records are lost"
    return ""


async def watch_durability(settings: Settings, home: Home, stopped: asyncio.Event) -> None:
    """Ask until the broker answers, once. Raises ConfigError, after setting `stopped`, when it promises too little."""
    while True:
        try:
            weakness = await asyncio.to_thread(find_weakness, settings, home)
        except Unreachable as error:
            log.debug("durability is not known yet: %s", error)
            await asyncio.sleep(ASK_AGAIN_S)
            continue
        if weakness:
            stopped.set()
            raise ConfigError(weakness)
        return
