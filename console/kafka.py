"""Brings a Kafka of one's own to what Custody needs: logins, ACLs, topics, the first control entries. Repeatable."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from deploy.embedded.process import StackError
from deploy.embedded.registration import register
from deploy.embedded.secrets import create_secrets, read_kafka_passwords
from deploy.embedded.topics import apply_acls, apply_topics, apply_users, configure_topics, make_acls
from schemas.config import Settings
from schemas.errors import ConfigError, Unreachable
from schemas.runtime import Home
from schemas.topics import COMPONENTS

TIMEOUT_S: Final = 15.0
MECHANISMS: Final = ("SCRAM-SHA-256", "SCRAM-SHA-512", "PLAIN")


@dataclass(frozen=True)
class Administrator:
    """Who may create topics, ACLs and logins on that cluster."""

    name: str
    password: str
    mechanism: str = MECHANISMS[0]


@dataclass(frozen=True)
class Applied:
    """What was not there before; all logins are set anew each time."""

    logins: int
    acls: int
    topics: list[str]
    entries: list[str]


def apply_kafka(settings: Settings, home: Home, admin: Administrator, *, sets_logins: bool = True) -> Applied:
    """Additions only: what others have on the cluster stays. Raises ConfigError, Unreachable, StackError."""
    if not settings.kafka.bootstrap:
        raise ConfigError("kafka.bootstrap is not set: `custody up` prepares the embedded broker itself")
    create_secrets(home)
    client = AdminClient(_client_config(settings, admin))
    passwords = {name: value for name, value in read_kafka_passwords(home).items() if name in COMPONENTS}
    topics = configure_topics(
        settings.kafka.partitions, settings.kafka.min_insync_replicas, settings.retention.shortest_days
    )
    try:
        client.list_topics(timeout=TIMEOUT_S)
    except KafkaException as error:
        raise Unreachable(f"kafka at {settings.kafka.bootstrap}, as {admin.name}: {error.args[0].str()}") from None
    try:
        if sets_logins:
            apply_users(client, passwords)
        acls = apply_acls(client, make_acls(topics), is_own_broker=False)
        made = apply_topics(client, topics, settings.kafka.replication)
    except (KafkaException, TimeoutError) as error:
        raise StackError(f"kafka refused: {error}") from None
    return Applied(len(passwords) if sets_logins else 0, acls, made, register(settings, home))


def _client_config(settings: Settings, admin: Administrator) -> Mapping[str, Any]:
    config: dict[str, Any] = {
        "bootstrap.servers": settings.kafka.bootstrap,
        "security.protocol": settings.kafka.security_protocol,
        "sasl.mechanism": admin.mechanism,
        "sasl.username": admin.name,
        "sasl.password": admin.password,
        "log_level": 0,
    }
    if settings.kafka.ca_file:
        config["ssl.ca.location"] = settings.kafka.ca_file
    return config
