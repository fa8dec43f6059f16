"""The table of parts, and how a part's process sees the world."""

import json
import sys
import time
from pathlib import Path

import pytest

from deploy.embedded.parts import CHECKOUT, ENV_PART, PARTS, ModuleRunner, part_env, select_parts
from deploy.embedded.process import StackError
from schemas.config import Settings, parse_settings
from schemas.runtime import ENV_HOME, Home


def test_the_settings_choose_the_parts() -> None:
    embedded = {part.name for part in select_parts(Settings())}
    assert {part.name for part in PARTS} - embedded == {"sink-siem", "notifier"}
    outside = parse_settings(
        "kafka: {bootstrap: 'broker:9092', security_protocol: SASL_SSL}\n"
        "store: {url: 'http://store:8123'}\nsiem: {syslog: {host: collector}}\n"
        "approvals: {receivers: {ops: {url: 'https://ops.test/', secret: 'env:OPS'}}}\n"
    )
    assert {part.name for part in PARTS} - {part.name for part in select_parts(outside)} == {"kafka", "store"}
    assert [part.name for part in select_parts(Settings(), ("store", "kafka"))] == ["kafka", "store"]


def test_a_part_knows_its_home_and_takes_no_module_from_the_working_directory(
    bare_home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    env = part_env(bare_home, "proxy-tcp")
    assert (env[ENV_HOME], env[ENV_PART], env["PYTHONPATH"]) == (str(bare_home.root), "proxy-tcp", str(CHECKOUT))
    (tmp_path / "json.py").write_text("raise SystemExit('the wrong json')\n")
    monkeypatch.chdir(tmp_path)
    runner = ModuleRunner(bare_home, "tool", ("json.tool", "--help"))
    try:
        assert runner.launch().wait(30) == 0
        assert not runner.is_ready()
    finally:
        runner.stop()
    assert "usage" in (bare_home.logs / "tool.log").read_text()


def test_a_module_is_ready_when_it_says_so_itself(bare_home: Home) -> None:
    runner = ModuleRunner(bare_home, "demo-http", ("deploy.embedded.http_api",))
    (bare_home.root / "custody.yaml").write_text("ports: {demo_http: 0}\n")
    stale = {"pid": 1, "ready": True, "ports": {}, "started_at": 1, "detail": {}}
    (bare_home.run / "demo-http.json").write_text(json.dumps(stale))
    try:
        runner.launch()
        assert not runner.is_ready()
        deadline = time.monotonic() + 30
        while not runner.is_ready():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        runner.settle()
    finally:
        runner.stop()
    assert runner.child is None


def test_a_failed_setup_says_its_last_line(bare_home: Home) -> None:
    runner = ModuleRunner(bare_home, "store", ("unused",), setup=("json.tool", "/no/such/file"))
    with pytest.raises(StackError, match=r"json\.tool: .*No such file"):
        runner.settle()
    assert sys.executable
