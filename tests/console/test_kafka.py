"""A real broker that knows nothing of Custody is prepared, twice, beside what others have there."""

from pathlib import Path

import pytest
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from console.kafka import Administrator, apply_kafka
from deploy.embedded.broker import ADMIN
from deploy.embedded.secrets import create_secrets
from deploy.embedded.topics import list_acls, make_acls
from schemas.config import Kafka as KafkaSettings
from schemas.config import Settings, Store
from schemas.errors import ConfigError, Unreachable
from schemas.events import ControlKind
from schemas.runtime import Home
from schemas.topics import COMPONENTS, RAW, TOPICS
from schemas.wire.control import ControlView
from schemas.wire.kafka import client_config
from tests.support.kafka import make_broker

FOREIGN = AclBinding(
    ResourceType.TOPIC, "orders", ResourcePatternType.LITERAL, "User:shop", "*", AclOperation.READ,
    AclPermissionType.ALLOW,
)  # fmt: skip


def test_a_cluster_of_ones_own(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    create_secrets(home)
    broker = make_broker(tmp_path, passwords={ADMIN: "admin-password"})
    broker.start()
    try:
        settings = Settings(kafka=KafkaSettings(bootstrap=broker.bootstrap, partitions=3))
        other = AdminClient({**broker.client_config(ADMIN), "log_level": 0})
        for future in other.create_acls([FOREIGN]).values():
            future.result(20)
        with pytest.raises(Unreachable, match="as admin"):
            apply_kafka(settings, home, Administrator(ADMIN, "wrong"))
        done = apply_kafka(settings, home, Administrator(ADMIN, "admin-password"))
        assert (done.logins, sorted(done.topics)) == (len(COMPONENTS), sorted(topic.name for topic in TOPICS))
        assert done.acls == len(make_acls()) and "resource/demo-postgres" in done.entries
        assert FOREIGN in list_acls(other)
        assert RAW in AdminClient(client_config(settings, home, "proxy")).list_topics(timeout=20).topics
        view = ControlView(settings, home, "api")
        view.start(20)
        assert view.get(ControlKind.RESOURCE, "demo-http") is not None
        view.close()

    finally:
        broker.stop()


def test_the_embedded_broker_needs_none(bare_home: Home) -> None:
    with pytest.raises(ConfigError, match=r"kafka\.bootstrap is not set"):
        apply_kafka(Settings(store=Store()), bare_home, Administrator("a", "b"))
