"""Distinctive secrets through every path; afterwards none is on disk in any form, and the record shows label and place.

The upstreams' own data is theirs: the directory and log of demo-postgres are not searched.
"""

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer

from console.demo.checks import as_bytes
from deploy.embedded import stack
from deploy.embedded.secrets import ADMIN, PASSWORDS
from schemas import topics
from schemas.events import EventBatch
from schemas.runtime import now_us
from schemas.wire import framing, kafka
from schemas.wire.sealing import Sealer
from tests.integration import canary_detectors, canary_http, canary_sql
from tests.integration.canaries import KNOWN_BY_FORM, Canaries, make_canaries
from tests.integration.disk_search import Searcher, search_tree
from tests.integration.leaky_upstream import make_tls, serve_echo, serve_http
from tests.integration.live import ROOT, Live, run_live

CONTROL = "harmless-words-that-are-kept"
"""Goes the same way as the secrets and must be found: a search that finds nothing else proves something."""

HEX_RUN = re.compile(r"(?:[0-9a-f]{2}){20,}")

TABLES = (
    "events", "sessions", "session_states", "detections", "retention_actions", "deliveries", "checkpoints", "progress",
)  # fmt: skip
RAW_UNDECODABLE = "raw-undecodable"
"""The test itself writes these secrets to the raw topic in the clear: there, and only there, they stand."""

DUMP = """
import sys
from chdb import session
store = session.Session(sys.argv[1])
tables = store.query("SELECT database, name FROM system.tables WHERE database NOT IN"
                     " ('system', 'INFORMATION_SCHEMA', 'information_schema')"
                     " OR (database = 'system' AND name LIKE '%_log%') FORMAT TSV").data().split("\\n")
for line in filter(None, tables):
    database, name = line.split("\\t")
    sys.stdout.buffer.write(store.query(f"SELECT * FROM `{database}`.`{name}` FORMAT RowBinary").bytes())
    sys.stdout.buffer.write(f"\\n== {database}.{name}\\n".encode())
"""
"""Everything that the store's own engine can read in its directory, whatever the reader's login may see."""

BROKER_SETTINGS = "kafka/server.properties"


@dataclass
class Run:
    """What was sent, and what was found afterwards."""

    canaries: dict[str, Canaries] = field(default_factory=dict)
    leaks: list[str] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    held: dict[str, int] = field(default_factory=dict)
    logins: dict[str, str] = field(default_factory=dict)

    def make(self, path: str) -> Canaries:
        """The secrets of a path, always the same."""
        return self.canaries.setdefault(path, make_canaries(path))

    def secrets(self) -> dict[str, str]:
        return (
            canary_detectors.needles()
            | self.logins
            | {
                f"{path}/{name}": secret
                for path, found in self.canaries.items()
                for name, secret in found.needles().items()
            }
        )

    def random_parts(self) -> dict[str, str]:
        return canary_detectors.random_parts() | {
            f"{path}/{name}": part
            for path, found in self.canaries.items()
            for name, part in found.random_parts().items()
        }

    def note(self, where: str, searcher: Searcher, data: bytes) -> None:
        """Search one place; what the control says is counted."""
        self.held[where] = self.held.get(where, 0) + data.count(CONTROL.encode())
        found = sorted(searcher.find_deep(data), key=str)
        self.leaks += [f"{where}: {needle.what} ({needle.form})" for needle in found]


async def send_everything(live: Live, run: Run) -> None:
    """All paths, one after another."""
    issued = live.issue("canary", "run-canary")
    run.logins["credential of the agent"] = issued.secret
    run.logins |= {f"secrets/{name}": live.home.read_secret(name) for name in PASSWORDS}
    login = f"{issued.credential.id}:{issued.secret}"
    async with AsyncExitStack() as servers:
        http = await servers.enter_async_context(serve_http(run.make))
        https = await servers.enter_async_context(serve_http(run.make, make_tls(live.receiver.root.parent)))
        echo = await servers.enter_async_context(serve_echo())
        register = asyncio.to_thread
        http_port = await register(live.register, "leaky-http", "http", http)
        await register(live.register, "leaky-https", "http", https, upstream={"tls": "require"})
        tcp_port = await register(live.register, "leaky-tcp", "tcp", echo, principal="dana@example.test")
        relaying = await register(
            live.register,
            "relaying-postgres",
            "postgres",
            live.ports.demo_postgres,
            on_opaque="relay",
            upstream={"user": "postgres", "database": "postgres", "secret": "file:upstream/demo-postgres.password"},
        )
        await canary_sql.fill_upstream(live.upstream_postgres_url(), run.make)
        await canary_sql.run_sql(live.postgres_url(issued), run.make)
        await canary_sql.break_protocol(live.postgres_url(issued, relaying), run.make)
        await say_control(live, issued)
        await canary_http.run_http(http_port, login, run.make)
        await canary_http.run_proxied(live.ports.http_proxy, http, login, run.make)
        authority = live.home.ca / "custody-ca-cert.pem"
        await canary_http.run_intercepted(live.ports.http_proxy, https, login, authority, run.make)
        await canary_http.run_tcp(tcp_port, run.make)
        await canary_detectors.run_sql(live.postgres_url(issued))
        await canary_detectors.run_http(http_port, login)
        await canary_detectors.run_tcp(tcp_port)
    write_wrong_records(live, run)
    ask_with_secrets(live, run)


async def say_control(live: Live, issued: Any) -> None:
    import psycopg

    async with await psycopg.AsyncConnection.connect(live.postgres_url(issued), autocommit=True) as connection:
        await connection.execute(f"SELECT '{CONTROL}'")


def write_wrong_records(live: Live, run: Run) -> None:
    """As a proxy: bytes that are no record; a batch that is sealed and signed and holds no events; a forged one."""
    config = kafka.producer_config(live.place.settings, live.home, "proxy")
    plain = run.make("raw-sealed-garbage").text().encode()
    sealer = Sealer("proxy-tcp", live.home.signing_key("proxy-tcp"), live.home.unseal_public())
    wrong = [
        run.make(RAW_UNDECODABLE).text().encode(),
        framing.encode(EventBatch("proxy-tcp", run.make(RAW_UNDECODABLE).line(), 1)),
        framing.encode(sealer.seal(plain, 0, 0, now_us())),
    ]
    producer = Producer(config)
    for value in wrong:
        producer.produce(topics.RAW, value=value, partition=0)
    assert producer.flush(30) == 0


def ask_with_secrets(live: Live, run: Run) -> None:
    """The console's own commands, with secrets in what is asked."""
    found = run.make("console")
    live.custody("query", f"SELECT count() FROM custody.events WHERE statement LIKE '%{found.line()}%'")
    live.custody("query", f"SELEC '{found.line()}'")
    live.custody("sessions", "--text", found.values["email"])
    live.custody("replay", found.values["github_token"])
    for name in ("github_token", "password", "payment_card"):
        asked = live.custody("trace", "--reason", f"is {found.values['jwt']} known?", stdin=found.values[name])
        assert found.values[name] not in asked.stdout + asked.stderr
    refused = live.custody("trace", found.values["json_password"])
    assert refused.returncode == 2 and found.values["json_password"] not in refused.stderr


def read_record(live: Live, run: Run, searcher: Searcher) -> None:
    """The tables through the reader's login."""
    with live.store() as store:
        for table in TABLES:
            data = b"".join(store.stream(f"SELECT * FROM custody.{table}", "RowBinary"))
            run.note(f"table {table}", searcher, data)
        run.events = store.rows("SELECT * FROM custody.events WHERE protocol != 'custody'", as_bytes=True)
    for event in run.events:
        for column, value in event.items():
            if found := searcher.find(as_bytes(value)):
                where = f"{event['protocol'].decode()} {event['kind'].decode()}, column {column}"
                run.leaks += [f"{where}: {needle.what} ({needle.form})" for needle in sorted(found, key=str)]


def read_topics(live: Live, run: Run, searcher: Searcher) -> None:
    """Every record of every topic, Kafka's own included, as its readers see it."""
    config = kafka.reader_config(live.place.settings, live.home, ADMIN)
    consumer = Consumer(config)
    try:
        partitions = {name: len(topic.partitions) for name, topic in consumer.list_topics(timeout=30).topics.items()}
        assert {topic.name for topic in topics.TOPICS} <= partitions.keys()
        for name, count in partitions.items():
            run.held[f"topic {name}"] = 0
            for partition in range(count):
                low, high = kafka.watermarks(consumer, name, partition)
                for message in kafka.read_range(config, name, partition, low, high):
                    headers = b"".join(key.encode() + (value or b"") for key, value in message.headers() or [])
                    run.note(f"topic {name}", searcher, (message.key() or b"") + headers + (message.value() or b""))
    finally:
        consumer.close()


def read_store(live: Live, run: Run, searcher: Searcher) -> None:
    """The stopped store's directory, by its own engine."""
    data = live.home.root / "store"
    root = next((path for path in (data / "data", data) if (path / "store").is_dir()), data)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    dumped = subprocess.run(
        [sys.executable, "-c", DUMP, str(root)], env=environment, capture_output=True, timeout=120, check=False
    )
    assert b"== custody.events" in dumped.stdout, dumped.stderr[-2000:]
    run.note("store, by its engine", searcher, dumped.stdout)


def search_disk(live: Live, run: Run, searcher: Searcher) -> None:
    """The home and what the SIEM wrote, file by file."""
    exempt = [live.home.secrets, live.home.root / "postgres", live.home.logs / "demo-postgres.log"]
    run.leaks += search_tree(searcher, live.home.root, exempt)
    assert (live.home.root / BROKER_SETTINGS).stat().st_mode & 0o077 == 0
    run.leaks += search_tree(searcher, live.receiver.root)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Everything sent, the stack stopped, everything searched."""
    found = Run()
    with run_live(tmp_path_factory.mktemp("canary")) as live:
        asyncio.run(send_everything(live, found))
        live.wait_quiet()
        searcher = Searcher(found.secrets(), found.random_parts())
        read_record(live, found, searcher)
        read_topics(live, found, searcher)
        stack.down(live.home)
        live.receiver.stop(signal.SIGTERM)
        read_store(live, found, searcher)
        search_disk(live, found, searcher)
        found.leaks = [leak for leak in dict.fromkeys(found.leaks) if not is_ours(leak)]
        yield found


def is_ours(leak: str) -> bool:
    """What the test wrote to the raw topic in the clear; the login that the broker's own settings have to hold."""
    where, _, what = leak.partition(": ")
    if where == BROKER_SETTINGS:
        return what.startswith("secrets/kafka/admin.password ")
    return topics.RAW in where and what.startswith(f"{RAW_UNDECODABLE}/")


@pytest.mark.timeout(700)
def test_no_secret_is_anywhere_on_disk(run: Run) -> None:
    places: dict[str, list[str]] = {}
    for leak in run.leaks:
        where, _, what = leak.partition(": ")
        places.setdefault(what, []).append(where)
    shown = "\n".join(f"{what}: {'; '.join(found[:6])}" for what, found in sorted(places.items()))
    assert not places, f"{len(places)} secrets leaked:\n{shown}"


def test_the_search_reaches_what_was_kept(run: Run) -> None:
    for where in ("table events", f"topic {topics.SESSIONS}", "store, by its engine"):
        assert run.held[where], where
    assert not run.held[f"topic {topics.RAW}"]  # sealed


EXPECTED: dict[str, tuple[str, str]] = {
    "sql-literal": ("action.requested", "statement"),
    "sql-comment": ("action.requested", "statement"),
    "sql-text-parameter": ("action.requested", "parameters[0]"),
    "sql-binary-parameter": ("action.requested", "parameters[0]"),
    "sql-bytea-parameter": ("action.requested", "parameters[0]"),
    "sql-rows": ("action.completed", "payload"),
    "sql-rows-binary": ("action.completed", "payload"),
    "sql-copy-in": ("", "payload"),
    "sql-copy-out": ("", "payload"),
    "sql-error": ("action.completed", "error"),
    "http-query": ("action.requested", "statement"),
    "http-headers": ("action.requested", "attributes.header.x-note"),
    "http-json": ("action.requested", "payload"),
    "http-form": ("action.requested", "payload"),
    "http-text": ("action.requested", "payload"),
    "http-gzip": ("action.requested", "payload"),
    "http-chunked": ("", "payload"),
    "https-intercepted": ("action.requested", "attributes.header.x-note"),
    "http-answer-json": ("action.completed", "payload"),
    "http-answer-text": ("action.completed", "payload"),
    "http-answer-gzip": ("action.completed", "payload"),
    "http-answer-sse": ("", "payload"),
    "http-answer-chunked": ("", "payload"),
    "http-websocket": ("data.sent", "payload"),
    "http-answer-websocket": ("data.received", "payload"),
    "tcp-text": ("data.sent", "payload"),
}
"""Path -> the kind of event (any, when empty) and the place where its masked values must be shown.

A password's label is that of the name beside it."""


@pytest.mark.parametrize("path", EXPECTED)
def test_the_record_shows_label_and_place(run: Run, path: str) -> None:
    kind, place = EXPECTED[path]
    tag = run.canaries[path].tag
    events = [event for event in run.events if tag in as_text(event) and kind in ("", text_of(event["kind"]))]
    assert events, f"no {kind} event of {path} is found by its tag"
    texts = "".join(map(as_text, events))
    shown = [{name: text_of(value) for name, value in item.items()} for event in events for item in listed(event)]
    labels = {item["label"] for item in shown if item["place"].startswith(place)}
    assert labels >= set(KNOWN_BY_FORM), (
        sorted(set(KNOWN_BY_FORM) - labels),
        sorted({item["place"] for item in shown}),
    )
    tokens = {item["token"] for item in shown if item["label"] == "payment_card"}
    assert any(f"‹payment_card:{token}›" in texts for token in tokens), tokens


@pytest.mark.parametrize("path", canary_detectors.PATHS)
def test_every_detector_is_shown_on_every_path(run: Run, path: str) -> None:
    masked = [(as_text(event), {text_of(item["label"]) for item in listed(event)}) for event in run.events]
    assert not canary_detectors.missing_labels(path, masked)


def as_text(event: dict[str, Any]) -> str:
    """The columns in which content stands."""
    columns = ("statement", "parameters", "attributes", "error", "payload", "objects")
    text = b"\n".join(as_bytes(event[column]) for column in columns).decode("utf-8", "replace")
    coded = (bytes.fromhex(run).decode("utf-8", "replace") for run in HEX_RUN.findall(text))  # bytea, as SQL writes it
    return "\n".join((text, *coded))


def listed(event: dict[str, Any]) -> list[dict[str, Any]]:
    """`masked` as the reader gets it: named tuples or dicts, without the count."""
    names = ("label", "count", "token", "place")
    items = [item if isinstance(item, dict) else dict(zip(names, item, strict=True)) for item in event["masked"]]
    return [{name: item[name] for name in ("label", "token", "place")} for item in items]


def text_of(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
