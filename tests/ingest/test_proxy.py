"""A proxy's own trail: each start names the epoch before it."""

from schemas.events import Event
from schemas.runtime import Home
from tests.support.proxies import read_trails, run_proxy


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
