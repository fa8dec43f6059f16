"""The process: it says when it serves, stops on SIGTERM, and names what keeps it from starting."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from schemas.runtime import ENV_HOME, Home
from tests.support.homes import connect_home
from tests.support.kafka import Kafka
from tests.support.proxies import ROOT, read_trails, run_proxy


def test_it_starts_and_stops_on_record(bare_home: Home, kafka: Kafka) -> None:
    connect_home(bare_home, kafka, ports={"http_proxy": 0})
    with run_proxy(bare_home, "ingest.http", "proxy-http") as proxy:
        assert set(proxy.ports) >= {"http_proxy"}
        proxy.stop()
        assert proxy.process.returncode == 0
    last = [trail for trail in read_trails(bare_home, "custody") if trail.context.agent == "proxy-http"][-1]
    assert last.kinds() == ["session.opened", "proxy.started", "proxy.stopped", "session.closed"]


@pytest.mark.parametrize("bind", ["127.0.0.1", "0.0.0.0"])
def test_what_keeps_it_from_starting_is_named(bare_home: Home, kafka: Kafka, bind: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        connect_home(bare_home, kafka, ports={"http_proxy": port}, capture={"bind": bind})
        environment = {ENV_HOME: str(bare_home.root), "PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
        command = [sys.executable, "-m", "ingest.http"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, cwd=Path("/"))
    assert done.returncode == 2
    assert (f"port {port}" if bind == "127.0.0.1" else "tls_certificate") in done.stderr
    assert "Traceback" not in done.stderr
