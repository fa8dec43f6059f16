"""The broker lets each component do what schemas/topics.py says, and nothing else."""

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic

from deploy.embedded.process import StackError
from deploy.embedded.topics import (
    FAUST_COMPONENTS,
    apply_acls,
    apply_topics,
    apply_topology,
    configure_topics,
    list_acls,
    make_acls,
)
from schemas.topics import (
    BY_NAME,
    COMPONENTS,
    CONTROL,
    DAY_MS,
    DETECTIONS,
    RAW,
    RETENTION,
    SESSIONS,
    TOPICS,
    Topic,
    find_longest_ms,
    keep_for,
)
from tests.support.kafka import Kafka, run_kafka

TIMEOUT_S = 20


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """Not the shared broker: these tests write records that no reader understands."""
    with run_kafka(tmp_path_factory.mktemp("kafka")) as running:
        yield running


def write(config: dict[str, str], topic: str) -> int | None:
    """The error code of one acks=all write, None when it was accepted."""
    outcome: list[KafkaError | None] = []
    producer = Producer({**config, "acks": "all", "message.timeout.ms": 8000, "log_level": 0})
    producer.produce(topic, b"x", b"key", partition=0, on_delivery=lambda error, _: outcome.append(error))
    producer.flush(TIMEOUT_S)
    assert outcome, f"no answer for {topic}"
    return outcome[0].code() if outcome[0] else None


def read(config: dict[str, str], topic: str, group: str) -> int | None:
    """The error code of reading one partition's first record, None when a record came."""
    settings = {"group.id": group, "enable.auto.commit": False, "auto.offset.reset": "earliest", "log_level": 0}
    consumer = Consumer({**config, **settings})
    try:
        if refused := consumer.list_topics(topic, timeout=TIMEOUT_S).topics[topic].error:
            return refused.code()
        consumer.assign([TopicPartition(topic, 0, 0)])
        message = consumer.poll(TIMEOUT_S)
        assert message is not None, f"nothing from {topic}"
        error = message.error()
        return error.code() if error else None
    finally:
        consumer.close()


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_only_its_writers_write(kafka: Kafka, topic) -> None:
    for component in COMPONENTS:
        code = write(kafka.client_config(component), topic.name)
        expected = None if component in topic.writers else KafkaError.TOPIC_AUTHORIZATION_FAILED
        assert code == expected, component


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_only_its_readers_read(kafka: Kafka, topic) -> None:
    assert write(kafka.client_config("admin"), topic.name) is None
    for component in COMPONENTS:
        code = read(kafka.client_config(component), topic.name, f"{component}-test")
        expected = None if component in topic.readers else KafkaError.TOPIC_AUTHORIZATION_FAILED
        assert code == expected, component


def test_wrong_password_is_refused(kafka: Kafka) -> None:
    config = {**kafka.client_config("proxy"), "sasl.password": "wrong", "socket.timeout.ms": 3000, "log_level": 0}
    with pytest.raises(KafkaException):
        AdminClient(config).list_topics(timeout=2)


def test_no_credentials_no_metadata(kafka: Kafka) -> None:
    config = {"bootstrap.servers": kafka.bootstrap, "security.protocol": "PLAINTEXT", "log_level": 0}
    with pytest.raises(KafkaException):
        AdminClient(config).list_topics(timeout=2)


def test_another_components_group_is_closed(kafka: Kafka) -> None:
    assert read_group(kafka.client_config("sink-siem"), "sink-siem.1") is None
    assert read_group(kafka.client_config("sink-siem"), "mask.1") == KafkaError.GROUP_AUTHORIZATION_FAILED


def read_group(config: dict[str, str], group: str) -> int | None:
    admin = AdminClient({**config, "log_level": 0})
    (future,) = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)]).values()
    try:
        future.result(TIMEOUT_S)
    except KafkaException as error:
        return error.args[0].code()
    return None


def test_only_mask_deletes_records_and_only_raw(kafka: Kafka) -> None:
    assert write(kafka.client_config("admin"), RAW) is None

    def delete(component: str, topic: str) -> int | None:
        admin = AdminClient({**kafka.client_config(component), "log_level": 0})
        (future,) = admin.delete_records([TopicPartition(topic, 0, 1)]).values()
        try:
            future.result(TIMEOUT_S)
        except KafkaException as error:
            return error.args[0].code()
        return None

    assert delete("mask", RAW) is None
    assert delete("mask", SESSIONS) == KafkaError.TOPIC_AUTHORIZATION_FAILED
    assert delete("proxy", RAW) == KafkaError.TOPIC_AUTHORIZATION_FAILED


@pytest.mark.parametrize("component", COMPONENTS)
def test_only_stream_workers_create_topics_and_only_their_own(kafka: Kafka, component: str) -> None:
    admin = AdminClient({**kafka.client_config(component), "log_level": 0})

    def create(name: str) -> int | None:
        try:
            admin.create_topics([NewTopic(name, 1, 1)])[name].result(TIMEOUT_S)
        except KafkaException as error:
            return error.args[0].code()
        return None

    assert create(f"custody.{component}.v1") == KafkaError.TOPIC_AUTHORIZATION_FAILED
    is_allowed = component in FAUST_COMPONENTS
    assert create(f"custody-{component}-state") == (None if is_allowed else KafkaError.TOPIC_AUTHORIZATION_FAILED)


def test_no_component_changes_acls_or_users(kafka: Kafka) -> None:
    with pytest.raises(StackError, match="refused"):
        apply_topology(AdminClient({**kafka.client_config("api"), "log_level": 0}), kafka.passwords)


def test_applying_again_changes_nothing_and_removes_a_stray_acl(kafka: Kafka) -> None:
    (stray,) = make_acls([Topic(RAW, "", 1, frozenset(), frozenset(), {}, frozenset({"proxy"}))]) - make_acls()
    admin = kafka.admin()
    apply_acls(admin, make_acls() | {stray})
    assert list_acls(admin) == make_acls() | {stray}
    apply_topology(admin, kafka.passwords)
    assert list_acls(admin) == make_acls()


def test_more_partitions_and_changed_settings_reach_an_existing_topic(kafka: Kafka) -> None:
    grown = replace(BY_NAME[SESSIONS], name="custody.grown.v1")
    apply_topics(kafka.admin(), [grown])
    apply_topics(kafka.admin(), [replace(grown, partitions=9, config={"retention.ms": "1234"})])
    admin = kafka.admin()
    resource = ConfigResource(ConfigResource.Type.TOPIC, grown.name)

    def as_it_is() -> tuple[int, str]:
        (future,) = admin.describe_configs([resource]).values()
        count = len(admin.list_topics(timeout=TIMEOUT_S).topics[grown.name].partitions)
        return count, future.result(TIMEOUT_S)["retention.ms"].value

    deadline = time.monotonic() + TIMEOUT_S
    while as_it_is() != (9, "1234"):  # the controller answers before the broker follows it
        assert time.monotonic() < deadline, as_it_is()
        time.sleep(0.1)


@pytest.mark.parametrize(
    ("max_days", "kept"),
    [(365, {SESSIONS: 7, DETECTIONS: 30}), (10, {SESSIONS: 7, DETECTIONS: 10}), (0, {SESSIONS: 1, DETECTIONS: 1})],
)
def test_kafka_keeps_nothing_masked_longer_than_the_shortest_class(max_days: int, kept: dict[str, int]) -> None:
    made = {topic.name: topic for topic in configure_topics(5, 2, max_days)}
    assert {name: find_longest_ms(made[name]) // DAY_MS for name in kept} == kept
    forever = [topic for topic in made.values() if topic.config["retention.ms"] == "-1"]
    assert {topic.name for topic in forever} == {RAW, RETENTION, CONTROL}
    assert (made[SESSIONS].partitions, made[RAW].config["min.insync.replicas"]) == (5, "2")


def test_a_shorter_time_reaches_a_topic_that_is_there(kafka: Kafka) -> None:
    made = next(topic for topic in configure_topics(1, 1, 365) if topic.name == SESSIONS)
    renamed = replace(made, name="custody.shortened.v1")
    apply_topics(kafka.admin(), [renamed])
    apply_topics(kafka.admin(), [replace(renamed, config={**made.config, **keep_for(2)})])
    admin = kafka.admin()
    resource = ConfigResource(ConfigResource.Type.TOPIC, renamed.name)

    def as_it_is() -> dict[str, str]:
        (future,) = admin.describe_configs([resource]).values()
        return {name: future.result(TIMEOUT_S)[name].value for name in keep_for(2)}

    deadline = time.monotonic() + TIMEOUT_S
    while as_it_is() != keep_for(2):  # the controller answers before the broker follows it
        assert time.monotonic() < deadline, as_it_is()
        time.sleep(0.1)
