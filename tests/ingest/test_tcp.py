"""The TCP proxy's process serves what control holds and says under which epoch."""

from schemas.runtime import Home, read_run_state
from tests.ingest.test_opaque import echo_server, talk
from tests.support.proxies import run_proxy


def test_it_serves_and_names_its_ports_and_epoch(home: Home) -> None:
    with run_proxy(home) as proxy, echo_server() as echo:
        resource = proxy.register("process", "tcp", {"host": "127.0.0.1", "port": echo}, principal="job")
        assert talk(resource.listen, b"x") == b"x"
        state = read_run_state(home, "proxy-tcp")
        assert state is not None and state.ports["process"] == resource.listen
        assert len(bytes.fromhex(state.detail["epoch"])) == 16
        proxy.stop()
        assert proxy.process.returncode == 0
