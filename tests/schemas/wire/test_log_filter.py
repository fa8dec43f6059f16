"""The last net: what looks like a secret does not reach a log."""

import ast
import logging
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from schemas.wire.log_filter import MAX_LINE, ScrubbingFormatter, scrub

ROOT = Path(__file__).parents[3]
PROCESSES = sorted(
    path.relative_to(ROOT)
    for package in ("ingest", "processors", "sinks", "deploy", "console/api")
    for path in (ROOT / package).rglob("*.py")
    if '__name__ == "__main__"' in path.read_text("utf-8")
    and path.name not in ("jars.py", "native.py", "detectors.py")  # run by set-up
)


@pytest.mark.parametrize(
    "secret",
    [
        "postgresql://app:hunter2secret@db/x",
        "password=hunter2secret",
        '"api_key": "hunter2secret"',
        "Authorization: Bearer hunter2secret",
        "4111 1111 1111 1111",
        "123-45-6789",
        "AKIAhunter2secret",
    ],
)
def test_secrets_are_redacted(secret: str) -> None:
    line = scrub(f"connection failed for {secret} in step 3")
    assert "hunter2" not in line and "1111" not in line and "6789" not in line
    assert line.startswith("connection failed for")


def test_tracebacks_are_scrubbed_too() -> None:
    try:
        raise ValueError("password=hunter2secret")
    except ValueError:
        record = logging.getLogger("x").makeRecord("x", 40, "f", 1, "failed", (), sys.exc_info())
    text = ScrubbingFormatter().format(record)
    assert "ValueError" in text and "hunter2" not in text


def test_a_giant_line_takes_bounded_time() -> None:
    assert len(scrub("a@" * 5_000_000)) <= MAX_LINE
    assert len(scrub("1 " * 5_000_000)) <= MAX_LINE


@pytest.mark.parametrize("path", PROCESSES, ids=str)
def test_every_process_sets_up_its_logging_through_the_net(path: Path) -> None:
    source = (ROOT / path).read_text("utf-8")
    # The proxies share one way to run.
    name, text = (
        ("run_process", (ROOT / "ingest/process.py").read_text("utf-8"))
        if "run_process(" in source
        else ("main", source)
    )
    functions = {node.name: node for node in ast.parse(text).body if hasattr(node, "name")}
    calls = [node.func for node in ast.walk(functions[name]) if isinstance(node, ast.Call)]
    assert "set_up_logging" in [call.id for call in calls if isinstance(call, ast.Name)]


def test_the_processes_of_the_stack_are_among_those_and_nobody_sets_up_logging_otherwise() -> None:
    from deploy.embedded.parts import PARTS

    own = {"ingest/tcp.py", "ingest/http/__main__.py", "processors/worker.py", "processors/keyholder/__main__.py"}
    assert own | {"sinks/runner.py", "sinks/approvals/notifier.py", "console/api/__main__.py"} <= set(
        map(str, PROCESSES)
    )
    assert {f"deploy/embedded/{name}.py" for name in ("store", "http_api", "supervisor")} <= set(map(str, PROCESSES))
    assert len(PARTS) == 16  # another process: name it here too
    sources = [
        path for folder in {path.parts[0] for path in PROCESSES} | {"schemas"} for path in (ROOT / folder).rglob("*.py")
    ]
    found = [path.name for path in sources if "basicConfig(" in path.read_text("utf-8")]
    assert found == ["log_filter.py"]


@pytest.mark.parametrize(
    "command",
    [
        "ingest.tcp", "ingest.http", "processors.worker mask", "processors.keyholder", "sinks.runner clickhouse",
        "console.api",
    ],
)  # fmt: skip
def test_what_a_process_logs_is_scrubbed(command: str, tmp_path: Path) -> None:
    (tmp_path / "custody.yaml").write_text("'password=hunter2secret': 1\n")
    environment = {**os.environ, "CUSTODY_HOME": str(tmp_path)}
    process = [sys.executable, "-m", *command.split()]
    done = subprocess.run(process, capture_output=True, text=True, env=environment, cwd=ROOT, timeout=60)
    assert done.returncode == 2
    assert re.match(r"\S+Z (ERROR|CRITICAL) \S+ custody\.yaml: password=‹redacted›", done.stderr.splitlines()[-1])
