import os
import signal
import subprocess
import sys
from pathlib import Path

from schemas.runtime import Home
from tests.console.conftest import Run
from tests.support.homes import write_settings

ROOT = Path(__file__).resolve().parents[3]


def test_it_says_why_it_cannot_start(bare_home: Home) -> None:
    write_settings(bare_home, kafka={"bootstrap": "127.0.0.1:1"}, capture={"audit_timeout_s": 0.5}, ports={"api": 0})
    done = subprocess.run(
        [sys.executable, "-m", "console.cli", "api"],
        cwd=ROOT,
        env={**os.environ, "CUSTODY_HOME": str(bare_home.root)},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 2 and done.returncode != -signal.SIGTERM
    assert "CRITICAL" in done.stderr and "Traceback" not in done.stderr


def test_help_names_the_document(custody: Run) -> None:
    assert "--openapi" in custody("api", "--help").out
