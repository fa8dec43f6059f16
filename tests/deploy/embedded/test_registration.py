"""What a fresh stack writes to control, and what it leaves alone."""

from collections.abc import Iterator

import pytest

from deploy.embedded.registration import demo_resources, make_keys, make_resources, register
from schemas.config import Ports, Settings, find_settings
from schemas.events import ControlKind
from schemas.resources import Key, Resource, resolve_secret
from schemas.runtime import Home
from schemas.wire.control import ControlView, ControlWriter
from tests.support.homes import connect_home
from tests.support.kafka import Kafka, run_kafka


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """Not the shared one: its control topic holds entries of other tests."""
    with run_kafka(tmp_path_factory.mktemp("kafka")) as running:
        yield running


@pytest.fixture
def connected(bare_home: Home, broker: Kafka) -> Home:
    connect_home(bare_home, broker)
    return bare_home


def test_registering_is_repeatable_and_follows_the_ports(connected: Home) -> None:
    settings = find_settings(connected)
    assert len(register(settings, connected)) == 7
    assert register(settings, connected) == []
    moved = settings.model_copy(update={"ports": Ports(demo_http=1234)})
    assert register(moved, connected) == ["resource/demo-http"]
    view = ControlView(settings, connected, "proxy")
    view.start()
    try:
        assert view.all(ControlKind.RESOURCE)["demo-http"]["upstream"]["port"] == 1234
        assert set(view.all(ControlKind.PROXY_KEY)) == {"proxy-tcp", "proxy-http", "api", "keyholder"}
    finally:
        view.close()


def test_detect_may_write_quarantines_and_nothing_else(connected: Home) -> None:
    settings = find_settings(connected)
    register(settings, connected)
    writer = ControlWriter(settings, connected, "detect")
    writer.put(ControlKind.QUARANTINE, "agent-1", {"reason": "burst"})
    writer.put(ControlKind.RESOURCE, "demo-postgres", {"listen": 1})
    view = ControlView(settings, connected, "proxy")
    view.start()
    try:
        assert view.get(ControlKind.QUARANTINE, "agent-1") == {"reason": "burst"}
        entry = view.get(ControlKind.RESOURCE, "demo-postgres")
        assert entry is not None
        assert entry["listen"] == settings.ports.demo_postgres_proxy
    finally:
        view.close()


def test_a_person_s_changes_to_a_demo_resource_stay() -> None:
    (postgres, _) = demo_resources(Settings())
    changed = postgres.model_dump(mode="json") | {"record": "best_effort", "listen": 1}
    entries = make_resources(Settings(), {"demo-postgres": changed})
    entry = entries[(ControlKind.RESOURCE, "demo-postgres")]
    assert (entry["record"], entry["listen"]) == ("best_effort", postgres.listen)


def test_entries_fit_the_models_and_their_secrets_exist(secrets_home: Home) -> None:
    for (kind, _), entry in make_keys(secrets_home).items():
        assert kind in (ControlKind.PROXY_KEY, ControlKind.WRITER_KEY)
        Key.model_validate(entry)
    for entry in make_resources(Settings(), {}).values():
        assert len(resolve_secret(Resource.model_validate(entry).upstream.secret, secrets_home)) >= 32
