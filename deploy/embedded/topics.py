"""Brings Custody's own broker to what schemas/topics.py says: logins, ACLs, topics. Repeatable."""

import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    OffsetSpec,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from deploy.embedded.process import StackError
from schemas.topics import COMPONENTS, DAY_MS, RAW, SESSIONS, TOPICS, Topic, find_longest_ms, keep_for

TIMEOUT_S: Final = 30.0
POLL_S: Final = 0.05
SCRAM_ITERATIONS: Final = 4096

FAUST_COMPONENTS: Final = ("mask", "facts", "detect", "retain")
"""Components that are Faust apps: they own topics and groups under `custody-<component>-`."""

WRITE_OPERATIONS: Final = (AclOperation.WRITE, AclOperation.DESCRIBE, AclOperation.DESCRIBE_CONFIGS)
READ_OPERATIONS: Final = (AclOperation.READ, AclOperation.DESCRIBE, AclOperation.DESCRIBE_CONFIGS)
GROUP_OPERATIONS: Final = (AclOperation.READ, AclOperation.DESCRIBE, AclOperation.DELETE)
OWNED_TOPIC_OPERATIONS: Final = (
    AclOperation.CREATE,
    AclOperation.READ,
    AclOperation.WRITE,
    AclOperation.DELETE,
    AclOperation.DESCRIBE,
    AclOperation.DESCRIBE_CONFIGS,
    AclOperation.ALTER_CONFIGS,
)


def apply_topology(
    admin: AdminClient, passwords: Mapping[str, str], topics: Sequence[Topic] = TOPICS, replication: int = 1
) -> None:
    """Logins, then ACLs, then topics; StackError when the broker refuses."""
    apply_users(admin, passwords)
    apply_acls(admin, make_acls(topics))
    apply_topics(admin, topics, replication)


def configure_topics(partitions: int, min_insync_replicas: int, max_days: int) -> tuple[Topic, ...]:
    """The topic table with the settings' partitions for raw and sessions, whose partitions are one to one.

    `max_days`: masked content is kept no longer, whatever the table says; at least one day.
    """
    durability = {"min.insync.replicas": str(min_insync_replicas)}
    return tuple(
        replace(
            topic,
            partitions=partitions if topic.name in (RAW, SESSIONS) else topic.partitions,
            config={**topic.config, **_shorten(topic, max(1, max_days)), **durability},
        )
        for topic in TOPICS
    )


def _shorten(topic: Topic, max_days: int) -> dict[str, str]:
    has_limit = int(topic.config.get("retention.ms", "-1")) > 0
    return keep_for(max_days) if has_limit and find_longest_ms(topic) > max_days * DAY_MS else {}


def make_acls(topics: Iterable[Topic] = TOPICS) -> frozenset[AclBinding]:
    """Every ACL of every component; what is not in here is refused."""
    bindings: set[AclBinding] = set()
    for topic in topics:
        for component in topic.writers:
            bindings |= _allow(component, ResourceType.TOPIC, topic.name, WRITE_OPERATIONS)
        for component in topic.readers:
            bindings |= _allow(component, ResourceType.TOPIC, topic.name, READ_OPERATIONS)
        for component in topic.deleters:
            bindings |= _allow(component, ResourceType.TOPIC, topic.name, (AclOperation.DELETE,))
    prefixed = ResourcePatternType.PREFIXED
    for component in COMPONENTS:
        bindings |= _allow(component, ResourceType.GROUP, component, GROUP_OPERATIONS, prefixed)
    for component in FAUST_COMPONENTS:
        own = f"custody-{component}"
        bindings |= _allow(component, ResourceType.GROUP, own, GROUP_OPERATIONS, prefixed)
        bindings |= _allow(component, ResourceType.TOPIC, f"{own}-", OWNED_TOPIC_OPERATIONS, prefixed)
    return frozenset(bindings)


def apply_users(admin: AdminClient, passwords: Mapping[str, str]) -> None:
    """Give each component its SCRAM-SHA-256 password, as it is in `passwords` now."""
    how = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_256, SCRAM_ITERATIONS)
    changes = [
        UserScramCredentialUpsertion(component, how, password.encode()) for component, password in passwords.items()
    ]
    _settle(admin.alter_user_scram_credentials(changes, request_timeout=TIMEOUT_S))


def apply_acls(admin: AdminClient, wanted: frozenset[AclBinding], *, is_own_broker: bool = True) -> int:
    """Create the missing ACLs; how many. On a broker that is all Custody's, those that are not in `wanted` go."""
    present = list_acls(admin)
    missing = [binding for binding in wanted if binding not in present]
    if missing:
        _settle(admin.create_acls(missing, request_timeout=TIMEOUT_S))
    if not is_own_broker:
        return len(missing)
    if stale := [_as_filter(binding) for binding in present if binding not in wanted]:
        _settle(admin.delete_acls(stale, request_timeout=TIMEOUT_S))
    return len(missing)


def list_acls(admin: AdminClient) -> frozenset[AclBinding]:
    """The ACLs the broker has now."""
    everything = AclBindingFilter(
        ResourceType.ANY, None, ResourcePatternType.ANY, None, None, AclOperation.ANY, AclPermissionType.ANY
    )
    return frozenset(admin.describe_acls(everything, request_timeout=TIMEOUT_S).result(TIMEOUT_S))


def apply_topics(admin: AdminClient, topics: Sequence[Topic] = TOPICS, replication: int = 1) -> list[str]:
    """Create missing topics (their names), grow those with too few partitions, set their config. Never deletes."""
    present = admin.list_topics(timeout=TIMEOUT_S).topics
    new = [
        NewTopic(topic.name, topic.partitions, replication, config=dict(topic.config))
        for topic in topics
        if topic.name not in present
    ]
    if new:
        _settle(
            admin.create_topics(new, request_timeout=TIMEOUT_S),
            benign=KafkaError.TOPIC_ALREADY_EXISTS,
        )
        _wait_served(
            admin, [TopicPartition(topic.name, number) for topic in topics for number in range(topic.partitions)]
        )
    old = [topic for topic in topics if topic.name in present]
    grown = [
        NewPartitions(topic.name, topic.partitions)
        for topic in old
        if len(present[topic.name].partitions) < topic.partitions
    ]
    if grown:
        _settle(admin.create_partitions(grown, request_timeout=TIMEOUT_S))
    if changes := [_make_config_change(topic) for topic in old if topic.config]:
        _settle(admin.incremental_alter_configs(changes, request_timeout=TIMEOUT_S))
    return [topic.topic for topic in new]


def _wait_served(admin: AdminClient, partitions: Sequence[TopicPartition]) -> None:
    """A new topic is created before its partitions have a leader; return when all have."""
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        try:
            # The client remembers a topic without leaders for half a minute, unless its metadata is read anew.
            admin.list_topics(timeout=TIMEOUT_S)
            question = {partition: OffsetSpec.latest() for partition in partitions}
            _settle(admin.list_offsets(question, request_timeout=TIMEOUT_S))
            return
        except StackError:
            if time.monotonic() > deadline:
                raise
            time.sleep(POLL_S)


def _make_config_change(topic: Topic) -> ConfigResource:
    entries = [
        ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET) for name, value in topic.config.items()
    ]
    return ConfigResource(ConfigResource.Type.TOPIC, topic.name, incremental_configs=entries)


def _allow(
    component: str,
    kind: ResourceType,
    name: str,
    operations: Iterable[AclOperation],
    pattern: ResourcePatternType = ResourcePatternType.LITERAL,
) -> set[AclBinding]:
    return {
        AclBinding(kind, name, pattern, f"User:{component}", "*", operation, AclPermissionType.ALLOW)
        for operation in operations
    }


def _as_filter(binding: AclBinding) -> AclBindingFilter:
    return AclBindingFilter(
        binding.restype,
        binding.name,
        binding.resource_pattern_type,
        binding.principal,
        binding.host,
        binding.operation,
        binding.permission_type,
    )


def _settle(futures: Mapping[Any, Future[Any]], benign: int | None = None) -> None:
    """Wait for all; StackError with the first refusal that is not the `benign` error code."""
    for subject, future in futures.items():
        try:
            future.result(TIMEOUT_S)
        except KafkaException as error:
            if error.args[0].code() != benign:
                raise StackError(f"kafka refused {subject}: {error.args[0].str()}") from None
