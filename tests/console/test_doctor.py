import socket
from pathlib import Path

import pytest

from console.control import Place
from console.doctor import (
    Health,
    check_all,
    check_free_text,
    check_home,
    check_java,
    check_ports,
    is_taken,
    java_version,
)
from schemas.config import Kafka, Masking, Ports, Settings
from schemas.runtime import Home, announce_ready

FREE = Ports(**dict.fromkeys(Ports.model_fields, 0))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(Home(tmp_path / "home"), Settings(ports=FREE))


def test_every_check_says_something(place: Place) -> None:
    checks = {finding.check for finding in check_all(place)}
    assert checks == {"python", "native", "java", "mvn", "disk", "clock", "home", "ports", "free text"}


@pytest.mark.parametrize(
    ("text", "version"),
    [('openjdk version "17.0.9" 2023-10-17', 17), ('java version "1.8.0_391"', 8), ('version "21"', 21), ("what?", 0)],
)
def test_java_versions(text: str, version: int) -> None:
    assert java_version(text) == version


def test_java_is_not_needed_with_a_broker_elsewhere(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert [finding.health for finding in check_java(place)] == [Health.BAD]
    elsewhere = Place(place.home, Settings(kafka=Kafka(bootstrap="broker:9092", security_protocol="SASL_SSL")))
    assert [finding.health for finding in check_java(elsewhere)] == [Health.FINE]


def test_a_secret_that_others_may_read_is_bad(bare_home: Home) -> None:
    place = Place(bare_home, Settings(ports=FREE))
    assert [finding.health for finding in check_home(place)] == [Health.FINE]
    (bare_home.secrets / "mint.key").chmod(0o644)
    (finding,) = check_home(place)
    assert finding.health is Health.BAD
    assert finding.advice == f"chmod go-rwx {bare_home.root.name}/secrets/mint.key"


def test_a_taken_port_is_named_unless_it_is_our_own(place: Place) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        assert is_taken(port)
        taken = Place(place.home, Settings(ports=FREE.model_copy(update={"store": port})))
        findings = list(check_ports(taken))
        assert f"store: {port} is taken" in findings[0].detail
        place.home.run.mkdir(parents=True)
        announce_ready(place.home, "store", {"http": port})
        assert [finding.health for finding in check_ports(taken)] == [Health.FINE]


def test_free_text_is_said_to_be_off_and_a_missing_model_is_bad(place: Place) -> None:
    (off,) = check_free_text(place)
    assert off.health is Health.FINE and "not looked for" in off.detail
    (missing,) = check_free_text(Place(place.home, Settings(masking=Masking(free_text="presidio"))))
    assert missing.health is Health.BAD and "presidio-analyzer" in missing.advice
