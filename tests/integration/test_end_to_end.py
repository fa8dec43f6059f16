"""One SQL action and one HTTP action, all the way: into ClickHouse, into a replay; a detection into the SIEM."""

import base64
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from tests.integration.live import Live, run_live, wait_until

VISIBLE_S = 60
REFUSALS = 10  # what the rule denied-burst takes for a burst
ACTIONS = (
    "SELECT kind, action_id, session_id, statement, parameters, status, rows, resource, verdict FROM custody.events"
    " WHERE run_id = {run_id:String} AND kind LIKE 'action.%' ORDER BY session_id, seq"
)


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with run_live(tmp_path_factory.mktemp("live")) as running:
        yield running


def read_actions(live: Live, run_id: str, count: int) -> list[dict[str, Any]]:
    """The action events of a run, once there are as many."""
    found: list[dict[str, Any]] = []

    def are_visible() -> bool:
        with live.store() as store:
            found[:] = store.rows(ACTIONS, {"run_id": run_id})
        return len(found) >= count

    wait_until(are_visible, VISIBLE_S, f"not all of run {run_id} is visible: {found}")
    return found


def test_an_sql_action_becomes_rows_and_a_replay(live: Live) -> None:
    with psycopg.connect(live.postgres_url(live.issue("planner", "run-sql")), autocommit=True) as connection:
        assert connection.execute("SELECT 40 + %s AS answer", (2,)).fetchone() == (42,)
    requested, completed = read_actions(live, "run-sql", 2)
    assert (requested["kind"], completed["kind"]) == ("action.requested", "action.completed")
    assert requested["action_id"] == completed["action_id"]
    assert requested["statement"] == "SELECT 40 + $1 AS answer"
    assert (requested["parameters"], requested["verdict"]) == (["2"], "allow")
    assert (completed["status"], completed["rows"], completed["resource"]) == ("00000", 1, "demo-postgres")
    shown = live.custody("replay", requested["session_id"])
    assert shown.returncode == 0, shown.stderr
    for words in ("SELECT 40 + $1 AS answer", "$1 = 2", "planner", "dana@example.test", "demo-postgres"):
        assert words in shown.stdout, words


def test_an_http_action_becomes_rows_and_a_replay(live: Live) -> None:
    issued = live.issue("caller", "run-http")
    basic = base64.b64encode(f"{issued.credential.id}:{issued.secret}".encode()).decode()
    with httpx.Client(headers={"Authorization": f"Basic {basic}"}, trust_env=False) as client:
        answer = client.get(f"http://127.0.0.1:{live.ports.demo_http_proxy}/customers/2", params={"step": "look-up"})
    assert (answer.status_code, answer.json()["name"]) == (200, "Bo Example")
    requested, completed = read_actions(live, "run-http", 2)
    assert (requested["kind"], completed["kind"]) == ("action.requested", "action.completed")
    assert requested["statement"].startswith("GET http://")
    assert requested["statement"].endswith("/customers/2?step=look-up")
    assert (completed["status"], completed["resource"]) == ("200", "demo-http")
    shown = live.custody("replay", requested["session_id"])
    assert shown.returncode == 0, shown.stderr
    assert "/customers/2?step=look-up" in shown.stdout
    assert answer.json()["card"] not in shown.stdout


def test_a_value_is_traced_to_who_saw_and_who_sent_it(live: Live) -> None:
    issued = live.issue("tracer", "run-trace")
    basic = base64.b64encode(f"{issued.credential.id}:{issued.secret}".encode()).decode()
    with httpx.Client(headers={"Authorization": f"Basic {basic}"}, trust_env=False) as client:
        answer = client.get(f"http://127.0.0.1:{live.ports.demo_http_proxy}/customers/3")
    card = answer.json()["card"]
    with psycopg.connect(live.postgres_url(live.issue("tracer", "run-trace")), autocommit=True) as connection:
        connection.execute("SELECT %s AS seen", (f"{card[:4]} {card[4:10]} {card[10:]}",))

    def are_found() -> bool:
        with live.store() as store:
            sql = "SELECT count() AS n FROM custody.events WHERE run_id = 'run-trace' AND length(masked) > 0"
            return int(store.one(sql)["n"]) >= 3  # the HTTP answer, the SQL request, the SQL answer

    wait_until(are_found, VISIBLE_S, "the run is not visible")
    shown = live.custody("trace", "--json", "--reason", "end to end", stdin=card)
    assert shown.returncode == 0, shown.stderr
    sightings = [row for row in json.loads(shown.stdout)["sightings"] if row["run_id"] == "run-trace"]
    assert sorted((row["resource"], row["how"]) for row in sightings) == [
        ("demo-http", "saw"), ("demo-postgres", "saw"), ("demo-postgres", "sent"),
    ]  # fmt: skip
    assert {(row["agent"], row["principal"]) for row in sightings} == {("tracer", "dana@example.test")}

    def is_recorded() -> bool:
        with live.store() as store:
            sql = "SELECT count() AS n FROM custody.events WHERE operation = 'trace' AND kind = 'action.requested'"
            return bool(store.one(sql)["n"])

    wait_until(is_recorded, VISIBLE_S, "the first trace is not in the record")
    again = json.loads(live.custody("trace", "--json", stdin=card).stdout)
    assert [row["reason"] for row in again["asked_before"]] == ["end to end"]
    assert card not in live.custody("query", "SELECT * FROM events WHERE operation = 'trace'").stdout


PREFIX = "%m [%p] %q%u@%d %h %c "


def reconcile(live: Live, resource: str, log: Path, *more: str) -> tuple[int, dict[str, Any]]:
    answer = live.custody("verify", "--reconcile", resource, "--evidence", str(log), "--json", *more)
    assert answer.stdout, answer.stderr
    return answer.returncode, json.loads(answer.stdout)


def test_what_came_past_the_proxies_is_named(live: Live) -> None:
    log = live.home.logs / "demo-postgres.log"  # begins with lines of another prefix
    own = 'SELECT {} AS "reconciled"'
    with psycopg.connect(live.upstream_postgres_url(), autocommit=True) as direct:
        direct.execute("ALTER SYSTEM SET log_statement = 'all'")
        direct.execute("ALTER SYSTEM SET log_timezone = 'UTC'")
        direct.execute(f"ALTER SYSTEM SET log_line_prefix = '{PREFIX}'")  # type: ignore[arg-type]
        direct.execute("SELECT pg_reload_conf()")
        wait_until(lambda: direct.execute("SHOW log_statement").fetchone() == ("all",), 30, "the server logs nothing")
        begun = datetime.now(UTC)
        with psycopg.connect(live.postgres_url(live.issue("kept", "run-kept")), autocommit=True) as proxied:
            for number in range(3):
                proxied.execute(own.format(number))  # type: ignore[arg-type]
            with pytest.raises(psycopg.Error):
                proxied.execute("SELECT no_such_column")
        first = datetime.now(UTC)
        time.sleep(0.05)  # the log's times are in whole milliseconds
        direct.execute(own.format("'hidden value'"))  # type: ignore[arg-type]
        direct.execute("SELECT 'past' AS the_proxy")
    read_actions(live, "run-kept", 8)
    # One clock. An earlier statement of this shape, which the server did not log yet, must not stand for one of these.
    options = ("--log-line-prefix", PREFIX, "--since", begun.isoformat(), "--skew", "1s")
    code, verdict = reconcile(live, "demo-postgres", log, *options, "--until", first.isoformat())
    assert (code, verdict["outcome"], verdict["facts"]["coverage_percent"]) == (0, "holds", 100.0), verdict
    code, verdict = reconcile(live, "demo-postgres", log, *options)
    facts = verdict["facts"]
    assert (code, verdict["outcome"], facts["only_at_target"]) == (1, "violated", 2), verdict
    assert [item["text"] for item in facts["target"]] == ['SELECT ? AS "reconciled"', "SELECT ? AS the_proxy"]
    assert {(item["user"], item["source"]) for item in facts["target"]} == {("postgres", "127.0.0.1")}
    assert facts["unread_lines"] == 0
    assert "hidden value" not in json.dumps(verdict)


def test_a_detection_reaches_the_siem(live: Live) -> None:
    with psycopg.connect(live.postgres_url(live.issue("prober", "run-burst")), autocommit=True) as connection:
        for number in range(REFUSALS):
            with pytest.raises(psycopg.errors.UndefinedTable):
                connection.execute(f"SELECT * FROM no_such_table_{number}")

    def is_told() -> bool:
        return any(
            message["kind"] == "detection" and "denied-burst" in message["data"] and "prober" in message["data"]
            for message in live.receiver.messages()
        )

    wait_until(is_told, VISIBLE_S, "no detection at the receiver")
    read_actions(live, "run-burst", 2 * REFUSALS)
    shown = live.custody("alerts", "--agent", "prober", "--json")
    assert shown.returncode in (0, 1), shown.stderr
    assert "denied-burst" in shown.stdout
