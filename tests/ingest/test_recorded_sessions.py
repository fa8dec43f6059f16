"""How much of an answer policy wants recorded (`@record`), through the proxy, with a real client and server."""

import json
from collections.abc import Iterator

import psycopg
import pytest

from schemas.runtime import Home
from tests.ingest.test_postgres import register, url
from tests.support.kafka import Kafka
from tests.support.postgres import Postgres
from tests.support.proxies import Login, Proxy, issue_credential, run_proxy_under, wait_for_trails

POLICY = """
@id("rest") permit (principal, action, resource);
@id("brief") @record("statement") permit (principal, action, resource) when { context.objects.contains("people") };
@id("few") @record("rows=2") permit (principal, action, resource) when { context.objects.contains("things") };
@id("whole") @record("full") permit (principal, action, resource) when { context.objects.contains("orders") };
@id("masked") @mask("columns=name") permit (principal, action, resource) when { context.objects.contains("masked") };
@id("masked-brief") @record("statement") permit (principal, action, resource)
when { context.objects.contains("masked") };
"""
TABLES = "".join(
    f"CREATE TABLE {name} AS SELECT i AS id, 'secret ' || i AS name FROM generate_series(1, 500) i;"
    for name in ("people", "things", "orders", "masked")
)


@pytest.fixture(scope="module")
def proxy(secrets_home: Home, tmp_path_factory: pytest.TempPathFactory, kafka: Kafka) -> Iterator[Proxy]:
    with run_proxy_under(POLICY, secrets_home, tmp_path_factory.mktemp("recorded"), kafka) as running:
        yield running


@pytest.fixture(scope="module")
def login(proxy: Proxy) -> Login:
    return issue_credential(proxy.home, proxy.writer, "recorded-agent")


def test_of_each_answer_as_much_as_policy_wants(proxy: Proxy, login: Login, postgres_server: Postgres) -> None:
    database = postgres_server.create_database()
    server = f"postgresql://{postgres_server.user}:{postgres_server.password}@{postgres_server.host}"
    with psycopg.connect(f"{server}:{postgres_server.port}/{database}", autocommit=True) as owner:
        owner.execute(TABLES)
    port = register(proxy, postgres_server, "recorded", {"database": database})
    with psycopg.connect(url(port, login), autocommit=True) as agent:
        for table in ("people", "things", "orders", "masked"):
            assert len(agent.execute(f"SELECT id, name FROM {table} WHERE id > %s", (100,)).fetchall()) == 400
        with agent.cursor() as cursor, cursor.copy("COPY people TO STDOUT") as copy:
            assert len(list(copy.rows())) == 500
        agent.execute("SELECT 'plain'")
    (trail,) = wait_for_trails(proxy.home, "recorded", 1)
    asked = {event.action_id: event for event in trail.of("action.requested")}
    done = {asked[event.action_id].statement.split()[-5]: event for event in trail.of("action.completed")
            if " WHERE " in asked[event.action_id].statement}  # fmt: skip
    kept = {table: json.loads(event.payload or b"{}").get("rows", []) for table, event in done.items()}
    assert {table: len(rows) for table, rows in kept.items()} == {"people": 0, "things": 2, "orders": 400, "masked": 0}
    assert {table: event.is_truncated for table, event in done.items()} == {
        "people": True, "things": True, "orders": False, "masked": True,
    }  # fmt: skip
    assert {table: event.attributes["policy.record"] for table, event in done.items()} == {
        "people": "statement", "things": "rows=2", "orders": "full", "masked": "statement",
    }  # fmt: skip
    assert all(event.rows == 400 and event.bytes > 4000 and len(event.payload_digest) == 32 for event in done.values())
    assert json.loads(done["people"].payload)["columns"] == ["id", "name"]
    copied = [event for event in trail.of("data.received") if event.payload_bytes]
    assert sum(event.payload_bytes for event in copied) > 5000
    assert all(event.payload == b"" and event.is_truncated for event in copied)
    (plain,) = (event for event in trail.of("action.completed") if b"plain" in event.payload)
    assert "policy.record" not in plain.attributes and not plain.is_truncated
    assert asked[done["people"].action_id].parameters == ["100"]
