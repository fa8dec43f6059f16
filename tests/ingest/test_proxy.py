"""A proxy's own trail: each start names the epoch before it."""

from console.control import find_place
from console.legal_holds import place_hold, release_hold
from schemas.events import ControlKind, Event
from schemas.runtime import Home
from tests.ingest.test_opaque import echo_server, talk
from tests.support.homes import connect_home
from tests.support.kafka import Kafka
from tests.support.proxies import read_trails, run_proxy, wait_for_trails


def started_events(home: Home) -> list[Event]:
    return [event for trail in read_trails(home, "custody") for event in trail.of("proxy.started")]


def started_epochs(home: Home) -> list[str]:
    return [event.attributes["epoch"] for event in started_events(home)]


def test_a_start_is_recorded_with_the_previous_epoch(home: Home) -> None:
    with run_proxy(home) as first:
        # It serves before its own start is durable: a proxy's trail holds nobody up.
        first.wait_for(lambda: (home.spool / "proxy-tcp" / "epoch").read_text() in started_epochs(home))
        first.process.kill()
        first.process.wait()
    with run_proxy(home):
        pass
    started = started_events(home)
    epochs = [(event.attributes["epoch"], event.attributes["previous_epoch"]) for event in started]
    assert epochs[-1][1] == epochs[-2][0] != ""


RETENTION = {
    "classes": {
        "standard": {"max_age_days": 365}, "personal": {"max_age_days": 366}, "audit": {"max_age_days": 900},
        "pci": {"presets": ["pci-dss-4"], "max_age_days": 800}, "short": {"max_age_days": 30},
    },
    "assign": [
        {"retention_class": "pci", "labels": {"data": "cards"}},
        {"retention_class": "personal", "resource": "ruled-*", "environment": "production"},
        {"retention_class": "audit", "protocol": "custody"},
    ],
}  # fmt: skip


def test_rules_give_sessions_their_class_from_the_moment_they_fit(home: Home, kafka: Kafka) -> None:
    connect_home(home, kafka, retention=RETENTION)
    with echo_server() as port, run_proxy(home) as proxy:
        upstream: dict[str, object] = {"host": "127.0.0.1", "port": port}
        common = {"protocol": "tcp", "upstream": upstream, "principal": "ann"}
        first = proxy.register("ruled-1", **common, labels={"environment": "production"})
        assert talk(first.listen, b"morning") == b"morning"
        second = proxy.register("ruled-1", **common, labels={"environment": "production", "data": "cards"})
        assert talk(second.listen, b"afternoon") == b"afternoon"
        found = [trail.context.retention_class for trail in wait_for_trails(home, "ruled-1", 2)]
        assert found == ["personal", "pci+personal"]
        clash = first.model_copy(update={"name": "ruled-2", "labels": {"data": "cards"}, "retention_class": "short"})
        proxy.writer.put(ControlKind.RESOURCE, "ruled-2", clash.model_dump())
        proxy.wait_for(lambda: "resource ruled-2 is not served: it must be kept 366 days" in proxy.log.read_text())
        epoch = (home.spool / "proxy-tcp" / "epoch").read_text()
    (own,) = [trail for trail in read_trails(home, "custody") if trail.context.session_id.endswith(epoch)]
    assert own.context.retention_class == "audit"
    (started,) = own.of("proxy.started")
    assert started.attributes["retention.class.pci"] == "366-800 days pci-dss-4"
    assert '"protocol":"custody"' in started.attributes["retention.rule.3"]


def test_a_hold_that_is_placed_and_released_is_on_record(home: Home) -> None:
    place = find_place()
    with run_proxy(home) as proxy:
        id, _ = place_hold(
            place, {"agent": "noted"}, authority="court, 12/26", reason="litigation", by="ann", approved_by="bob"
        )
        release_hold(place, id, reason="settled", by="cid", approved_by="ann")
        proxy.wait_for(lambda: len(hold_events(home, id)) == 2)
    placed, released = hold_events(home, id)
    assert placed == {
        "hold.id": id, "hold.state": "placed", "hold.by": "ann", "hold.approved_by": "bob",
        "hold.reason": "litigation", "hold.authority": "court, 12/26", "hold.agent": "noted",
    }  # fmt: skip
    assert released == placed | {
        "hold.state": "released", "hold.by": "cid", "hold.approved_by": "ann", "hold.reason": "settled",
    }  # fmt: skip


def hold_events(home: Home, id: str) -> list[dict[str, str]]:
    changes = [event for trail in read_trails(home, "custody") for event in trail.of("legal_hold.changed")]
    return [event.attributes for event in changes if event.attributes["hold.id"] == id]
