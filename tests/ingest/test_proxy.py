"""A proxy's own trail: each start names the epoch before it."""

from schemas.runtime import Home
from tests.support.proxies import read_trails, run_proxy


def test_a_start_is_recorded_with_the_previous_epoch(home: Home) -> None:
    with run_proxy(home) as first:
        first.process.kill()
        first.process.wait()
    with run_proxy(home):
        pass
    started = [event for trail in read_trails(home, "custody") for event in trail.of("proxy.started")]
    epochs = [(event.attributes["epoch"], event.attributes["previous_epoch"]) for event in started]
    assert epochs[-1][1] == epochs[-2][0] != ""
