"""The process: clear errors when it cannot start, its own trail when it can."""

import os
import subprocess
import sys

from schemas.runtime import ENV_HOME, Home
from tests.support.homes import write_settings
from tests.support.ports import get_free_port
from tests.support.proxies import ROOT


def start(home: Home, timeout_s: float) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ingest.tcp"],
        env=os.environ | {ENV_HOME: str(home.root), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=timeout_s,
        cwd=home.root,
    )


def test_faulty_settings_are_reported_and_exit_2(bare_home: Home) -> None:
    write_settings(bare_home, ports={"kafka": "many"})
    done = start(bare_home, 30)
    assert done.returncode == 2 and "ports.kafka" in done.stderr and "Traceback" not in done.stderr


def test_an_absent_broker_is_named_and_exit_2(bare_home: Home) -> None:
    write_settings(bare_home, kafka={"bootstrap": f"127.0.0.1:{get_free_port()}"}, capture={"start_timeout_s": 2})
    (bare_home.secrets / "kafka" / "proxy.password").chmod(0o600)
    done = start(bare_home, 120)
    assert done.returncode == 2 and "control topic" in done.stderr and "Traceback" not in done.stderr
