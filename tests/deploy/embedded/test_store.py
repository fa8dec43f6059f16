"""The store's process: it comes up once, keeps what it acknowledged, and can open nothing but its own."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from deploy.embedded.secrets import create_secrets
from deploy.embedded.store import StoreSettings, bind
from deploy.embedded.store_errors import StoreError
from schemas.runtime import Home, read_run_state
from sinks.clickhouse.migrate import migrate
from tests.support.store import ROOT, Store, run_store, start_store

COLUMNS = ["sink", "log_id", "partition", "offset"]


def test_acknowledged_inserts_survive_kill_9(tmp_path: Path) -> None:
    store = start_store(tmp_path)
    migrate(store.client("schema"))
    acknowledged = 0
    for round_ in range(3):
        writer = store.client("writer")
        for _ in range(5):
            rows = [["kill", "log", 0, acknowledged + n] for n in range(100)]
            token = {"insert_deduplication_token": f"kill/{acknowledged}"}
            writer.insert("progress", rows, column_names=COLUMNS, settings=token)
            acknowledged += 100
        os.kill(store.process.pid, signal.SIGKILL)
        store.process.wait(30)
        leftover = store.home.root / "store" / "inbox" / "body-99"
        leftover.write_bytes(b"cut off")
        store.close()
        store = start_store(tmp_path, port=0)
        assert not leftover.exists()
        reader = store.client("reader")
        found = reader.query("SELECT count(), uniqExact(offset), max(offset) FROM progress").result_rows
        assert found == [(acknowledged, acknowledged, acknowledged - 1)], round_
    # The last insert, sent again as a sink does that did not see its answer: the token still stands.
    store.client("writer").insert("progress", rows, column_names=COLUMNS, settings=token)
    assert store.client("reader").command("SELECT count() FROM progress") == acknowledged
    store.close()


def test_inserts_are_forced_to_disk(store: Store) -> None:
    query = "SELECT name FROM system.tables WHERE database = 'custody' AND engine = 'MergeTree' AND NOT (engine_full LIKE '%fsync_after_insert = 1, fsync_part_directory = 1%')"  # noqa: E501
    assert store.client("reader").query(query).result_rows == []


def test_stop_is_clean_and_says_so(tmp_path: Path) -> None:
    with run_store(tmp_path) as store:
        state = read_run_state(store.home, "store")
        assert state is not None and state.is_ready and state.pid == store.process.pid
        assert state.detail["sandbox"]
        store.process.send_signal(signal.SIGTERM)
        assert store.process.wait(30) == 0


def test_a_running_query_does_not_hold_up_the_stop(tmp_path: Path) -> None:
    with run_store(tmp_path) as store:
        slow = "SELECT count() FROM numbers(1000000000000) WHERE cityHash64(number) = 1"
        connection = http.client.HTTPConnection("127.0.0.1", store.port, timeout=60)
        headers = {"X-ClickHouse-User": "reader", "X-ClickHouse-Key": store.password("reader")}
        connection.request("POST", "/", slow, headers)
        process = psutil.Process(store.process.pid)
        before = process.cpu_times().user
        while process.cpu_times().user < before + 0.5:  # it counts
            time.sleep(0.05)
        store.process.send_signal(signal.SIGTERM)
        assert store.process.wait(30) == 0
        connection.close()


def test_the_process_can_open_only_its_own_directory(store: Store) -> None:
    """Asked of a process sealed as the store is, with Python in place of the engine."""
    home = store.home.root
    script = f"""
import os, socket, sys
from pathlib import Path
from deploy.embedded.store_sandbox import Reach, runtime_paths, seal
own = Path({str(home / "store")!r})
listener = socket.create_server(("127.0.0.1", 0))
seal(Reach(own=(own,), read=runtime_paths()))
(own / "inbox" / "probe").write_text("x"); (own / "inbox" / "probe").unlink()
def refused(act):
    try: act()
    except PermissionError: return True
    return False
for path in {
        [
            str(home / "secrets/store/reader.password"),
            "/etc/passwd",
            "/etc/hostname",
            "/proc/self/environ",
            str(home / "run/store.json"),
            str(home),
            "/tmp",
            "/root",
            str(ROOT / "pyproject.toml"),
        ]!r
    }:
    assert refused(lambda: os.listdir(path) if os.path.isdir(path) else open(path).read()), path
for path in ({str(home / "x")!r}, "/tmp/custody-probe", "/dev/shm/custody-probe"):
    assert refused(lambda: open(path, "w")), path
assert refused(lambda: os.rename(own / "data", {str(home / "data")!r}))
assert refused(lambda: socket.create_connection(("127.0.0.1", {store.port}), 5))
assert refused(lambda: socket.create_connection(listener.getsockname(), 5))
assert refused(lambda: os.kill({os.getpid()}, 0))
print("sealed")
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout == "sealed\n", done.stderr


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(StoreError, match=f"port {port}"):
            bind(port)
        with pytest.raises(AssertionError, match=f"store: port {port}"):
            start_store(tmp_path, port)


def test_a_store_without_passwords_does_not_start(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    create_secrets(home)
    (home.root / "custody.yaml").write_text("ports: {store: 0}\n")
    password = home.secrets / "store" / "reader.password"
    password.chmod(0o644)
    assert "must have mode 0600" in run_until_it_fails(home)
    password.write_text("")
    password.chmod(0o600)
    assert "reader.password is empty" in run_until_it_fails(home)
    password.unlink()
    assert "secrets/store/reader.password" in run_until_it_fails(home)


def run_until_it_fails(home: Home) -> str:
    environment = {**os.environ, "CUSTODY_HOME": str(home.root)}
    done = subprocess.run(
        [sys.executable, "-m", "deploy.embedded.store"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    return done.stderr


def test_settings_come_from_the_home(tmp_path: Path) -> None:
    home = Home(tmp_path)
    document = {
        "ports": {"store": 1},
        "store": {"max_insert_bytes": 2 << 20, "max_result_bytes": 3 << 20, "max_query_s": 4},
    }
    (tmp_path / "custody.yaml").write_text(json.dumps(document))
    settings = StoreSettings.load(home)
    assert (settings.port, settings.max_insert_bytes) == (1, 2 << 20)
    assert (settings.limits.max_result_bytes, settings.limits.max_read_seconds) == (3 << 20, 4)
