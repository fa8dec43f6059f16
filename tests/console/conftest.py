"""A store of the console's own tests, filled as the sink fills it; and a way to run commands."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from console.cli import run
from console.control import find_place
from console.store import Store as Reader
from console.store import open_store
from schemas.runtime import ENV_HOME, Home
from tests.console.committed import Committed
from tests.support.homes import write_settings
from tests.support.store import Store, run_store

START = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
LOG = "log-A"


@dataclass(frozen=True)
class Answer:
    """What a command did."""

    code: int
    out: str
    err: str


Run = Callable[..., Answer]


@pytest.fixture
def custody(capfdbinary: pytest.CaptureFixture[bytes]) -> Run:
    """Run `custody ARGUMENT…` in this process."""

    def command(*arguments: str) -> Answer:
        capfdbinary.readouterr()
        code = run(arguments)
        caught = capfdbinary.readouterr()
        return Answer(code, caught.out.decode(), caught.err.decode())

    return command


class Record:
    """A store with events. Offsets count up; every event is a batch of its own unless told otherwise."""

    def __init__(self, store: Store, home: Home) -> None:
        self.store, self.home = store, home
        self._writer = store.client("writer")

    def insert(self, table: str, rows: list[dict[str, Any]]) -> None:
        """Rows as dicts; columns that none names keep their defaults."""
        names = sorted({name for row in rows for name in row})
        values = [[row[name] for name in names] for row in rows]
        self._writer.insert(table, values, column_names=names)


def event(seq: int, kind: str, offset: int, **values: Any) -> dict[str, Any]:
    """A row of `events`."""
    row = {
        "log_id": LOG, "partition": 0, "offset": offset, "position": 0, "proxy_id": "proxy-tcp", "proxy_epoch": "e1",
        "batch_seq": offset, "session_id": "s1", "principal": "dana@example.com", "agent": "planner", "run_id": "run-1",
        "resource": "orders", "protocol": "postgres", "opened_at": START, "seq": seq,
        "at": START + timedelta(milliseconds=seq), "kind": kind, "action_id": "", "statement": "", "parameters": [],
        "operation": "", "objects": [], "verdict": "none", "status": "", "error": "", "rows": 0, "bytes": 0,
        "duration_us": 0, "attributes": {}, "payload": "", "payload_type": "", "payload_bytes": 0,
        "is_truncated": False, "masked": [], "retention_class": "standard", "opening": b"\x00" * 16, "canonical": "",
    }  # fmt: skip
    return row | values


def session(state: str, **values: Any) -> dict[str, Any]:
    """A row of `sessions`."""
    row = {
        "log_id": LOG, "partition": 0, "offset": 0, "position": 0, "session_id": "s1", "state": state, "at": START,
        "principal": "dana@example.com", "agent": "planner", "run_id": "run-1", "resource": "orders",
        "delegation": [("executor", "planner")], "protocol": "postgres", "source_ip": "127.0.0.1", "source_port": 4000,
        "client": "psql", "upstream": "db:5432", "opened_at": START, "credential_id": "c1", "proxy_id": "proxy-tcp",
        "proxy_epoch": "e1", "events": 0, "ledger": {}, "reason": "", "retention_class": "standard",
    }  # fmt: skip
    return row | values


def progress(offset: int, **values: Any) -> dict[str, Any]:
    """A row of `progress`."""
    return {"sink": "clickhouse", "log_id": LOG, "partition": 0, "offset": offset} | values


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Record]:
    """An empty store of the test's own, and a home that points at it."""
    with run_store(tmp_path / "store") as store:
        yield point_at(store, tmp_path, monkeypatch)


def point_at(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Record:
    """A home of the test's own whose settings name the store."""
    root = tmp_path / "home"
    shutil.copytree(store.home.root / "secrets", root / "secrets")
    home = Home(root)
    write_settings(home, store={"url": store.url})
    monkeypatch.setenv(ENV_HOME, str(root))
    monkeypatch.delenv("CUSTODY_CONFIG", raising=False)
    return Record(store, home)


ROWS = b'{"columns":["id","card"],"rows":[["1","\xe2\x80\xb9payment_card:abc\xe2\x80\xba"],["2",null]]}'.decode()


def fill(record: Record) -> None:
    """One whole session of five events, one that is open, one detection."""
    record.insert(
        "events",
        [
            event(1, "session.opened", 0),
            event(
                2, "action.requested", 1, action_id="s1.1", statement="SELECT id, card FROM cards WHERE id < $1",
                parameters=["9", None], operation="read", objects=["read cards"], verdict="allow",
                attributes={"kind": "execute"}, masked=[("payment_card", 1, "abc", "statement")],
            ),
            event(
                3, "action.completed", 2, action_id="s1.1", status="00000", rows=2, bytes=80, duration_us=1500,
                payload=ROWS, payload_type="rows",
            ),
            event(4, "action.requested", 3, action_id="s1.2", statement="DROP TABLE cards", verdict="deny"),
            event(5, "session.closed", 4, status="agent_closed", attributes={"events": "5", "reason": "agent_closed"}),
            event(1, "proxy.started", 5, session_id="proxy-tcp-e1", agent="proxy-tcp", protocol="custody",
                  resource="custody", attributes={"epoch": "e1", "previous_epoch": ""}),
            event(1, "session.opened", 6, session_id="s2", agent="other"),
        ],
    )  # fmt: skip
    closed = session("closed", at=START + timedelta(seconds=2), offset=4, events=5, reason="agent_closed",
                     ledger={"from_agent": 60, "from_upstream": 40, "opaque_agent": 10})  # fmt: skip
    record.insert(
        "sessions",
        [
            session(
                "opened",
                session_id="proxy-tcp-e1",
                agent="proxy-tcp",
                run_id="",
                protocol="custody",
                resource="custody",
                offset=5,
            ),
            session("opened"),
            closed,
            session("opened", session_id="s2", agent="other", offset=6),
        ],
    )
    record.insert(
        "detections",
        [
            {
                "detection_id": "d1", "at": START, "rule": "failed_burst", "severity": "high", "title": "many failures",
                "agent": "planner", "principal": "dana@example.com", "resource": "orders", "session_id": "s1",
                "evidence": ["s1.2"], "attributes": {"count": "9"},
            }
        ],
    )  # fmt: skip
    record.insert("progress", [progress(3), progress(6)])


@pytest.fixture(scope="session")
def filled_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """One filled store for everything that only reads."""
    with run_filled_store(tmp_path_factory) as store:
        yield store


@pytest.fixture
def filled(filled_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Record:
    """A home that points at the filled store."""
    return point_at(filled_store, tmp_path, monkeypatch)


@pytest.fixture(scope="session")
def growing_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """One filled store for everything that writes more, under names of its own."""
    with run_filled_store(tmp_path_factory) as store:
        yield store


@pytest.fixture
def growing(growing_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Record:
    """A home that points at the growing store."""
    return point_at(growing_store, tmp_path, monkeypatch)


@contextmanager
def run_filled_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A store with what fill() writes."""
    with run_store(tmp_path_factory.mktemp("filled")) as store, pytest.MonkeyPatch.context() as patch:
        fill(point_at(store, tmp_path_factory.mktemp("home"), patch))
        yield store


@pytest.fixture
def committed(record: Record, secrets_home: Home) -> Iterator[Committed]:
    for name in ("log", "witness", "api"):
        shutil.copy(secrets_home.secrets / f"{name}.key", record.home.secrets / f"{name}.key")
    (record.home.root / "public").mkdir()
    for name in ("log", "witness", "api"):
        shutil.copy(secrets_home.public / f"{name}.pub", record.home.public / f"{name}.pub")
    made = Committed(record.home)
    yield made
    made.close()


@pytest.fixture
def reader(committed: Committed) -> Iterator[Reader]:
    with open_store(find_place()) as store:
        yield store
