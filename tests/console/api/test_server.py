"""The API as a process: who may what, what is recorded, what hostile requests meet."""

import shutil
import socket
import time
from pathlib import Path

import pytest

from console.api.recording import REFUSALS_PER_MINUTE
from console.api.roles import ROLES
from console.api.routes import ROUTES
from schemas.runtime import Home
from tests.support.api import Api, connect_to, document_of, run_api
from tests.support.homes import write_settings
from tests.support.kafka import Kafka
from tests.support.store import Store


def address(path: str) -> str:
    return path.replace("{id}", "s1").replace("{name}", "demo-postgres")


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.operation)
def test_without_a_login_nothing_is_answered(api: Api, route) -> None:  # type: ignore[no-untyped-def]
    for token in ("", "wrong", "eyJhbGciOiJub25lIn0.e30."):
        response = api.ask(route.method, address(route.path), token=token)
        if route.is_open and route.prove is None:
            assert response.status_code == 200
            return
        if route.is_open:
            assert response.status_code in (401, 415)
            continue
        assert response.status_code == 401
        assert response.headers["WWW-Authenticate"].startswith("Bearer")
        assert response.headers["Content-Type"] == "application/problem+json"
        assert response.json()["type"] == "urn:custody:problem:unauthorized"


@pytest.mark.parametrize("role", ROLES)
def test_a_role_may_what_its_permissions_say_and_nothing_else(api: Api, role: str) -> None:
    for route in ROUTES:
        allowed = route.permission is None or route.permission in ROLES[role]
        if allowed and route.method != "GET":
            continue  # what it does is shown where the endpoints are tested
        status = api.ask(route.method, address(route.path), role).status_code
        assert (status == 403) == (not allowed), route.operation


def test_a_read_of_the_trail_is_on_the_trail_before_it_is_answered(api: Api) -> None:
    answered = api.ask("GET", "/v1/sessions?agent=planner&since=2h", "auditor", headers={"User-Agent": "probe/1"})
    assert len(document_of(answered)["sessions"]) == 1
    context, events = api.recorded("sessions.list")[-1]
    assert (context.principal, context.agent, context.client) == ("auditor@local", "custody-api", "probe/1")
    assert (context.resource, context.protocol, context.source_ip) == ("custody", "custody", "127.0.0.1")
    assert [event.kind for event in events] == [
        "session.opened", "action.requested", "action.completed", "session.closed",
    ]  # fmt: skip
    assert events[1].statement == "GET /v1/sessions"
    assert events[1].attributes == {"agent": "planner", "since": "2h", "roles": "auditor", "via": "local"}
    assert (events[2].status, events[2].rows) == ("200", 1)


def test_a_refusal_is_recorded_with_who_was_refused(api: Api) -> None:
    assert api.ask("GET", "/v1/events", "policy-admin").status_code == 403
    context, events = api.recorded("events.list")[-1]
    assert context.principal == "policy-admin@local"
    assert [event.kind for event in events][1:4] == ["action.requested", "action.decided", "action.completed"]
    assert [event.verdict for event in events[1:4]] == ["deny"] * 3
    assert events[3].status == "forbidden"


def test_guesses_are_recorded_and_no_flood_of_them_floods_the_trail(api: Api, tmp_path: Path) -> None:
    root = tmp_path / "home"
    shutil.copytree(api.home.root, root)
    with run_api(Home(root)) as fresh:  # what it has not refused yet counts towards no limit
        for _ in range(REFUSALS_PER_MINUTE + 40):
            flood = fresh.ask("GET", "/v1/detections", token="guess", headers={"User-Agent": "flood/1"})
            assert flood.status_code == 401
        fresh.ask("GET", "/v1/detections", "auditor")  # durable, so that what came before is too
        found = [event for context, event in fresh.trail() if context.client == "flood/1"]
    decided = sorted(event.at for event in found if event.kind == "action.decided")
    assert len(decided) >= REFUSALS_PER_MINUTE
    spans = [later - earlier for earlier, later in zip(decided, decided[REFUSALS_PER_MINUTE:], strict=False)]
    assert all(span > 59_000_000 for span in spans), spans


def test_failures_are_recorded_too(api: Api) -> None:
    assert api.ask("GET", "/v1/sessions/nowhere/events", "auditor").status_code == 404
    assert api.recorded("sessions.replay")[-1][1][2].status == "404"


@pytest.mark.parametrize(
    ("method", "path", "options", "status"),
    [
        ("GET", "/v1/nothing", {}, 404),
        ("PATCH", "/v1/sessions", {}, 405),
        ("GET", "/v1/sessions?agent=a&agent=b", {}, 400),
        ("GET", "/v1/sessions?limit=0", {}, 422),
        ("GET", "/v1/sessions?limit=1e9", {}, 422),
        ("GET", "/v1/sessions?surplus=1", {}, 422),
        ("GET", "/v1/sessions?since=soon", {}, 422),
        ("GET", "/v1/sessions?agent=" + "x" * 20_000, {}, 414),
        ("GET", "/v1/events?cursor=zzz", {}, 400),
        ("GET", "/v1/sessions", {"content": b"x"}, 400),
        ("POST", "/v1/query", {"content": b"{"}, 415),
        ("POST", "/v1/query", {"json": {"sql": ""}}, 422),
        ("POST", "/v1/query", {"json": ["SELECT 1"]}, 422),
        ("POST", "/v1/query", {"content": b"[" * 100_000, "headers": {"Content-Type": "application/json"}}, 422),
        ("POST", "/v1/query", {"content": b'{"sql":"\xff"}', "headers": {"Content-Type": "application/json"}}, 422),
        ("POST", "/v1/query", {"content": b"x" * (3 << 20), "headers": {"Content-Type": "application/json"}}, 413),
        ("POST", "/v1/query", {"json": {"sql": "DROP TABLE custody.events"}}, 400),
        ("POST", "/v1/query", {"json": {"sql": "SELECT 1 FORMAT CSV"}}, 400),
        ("POST", "/v1/query", {"json": {"sql": "SELECT * FROM file('x')"}}, 400),
    ],
)
def test_what_is_wrong_with_a_request_is_said_as_a_problem(
    api: Api, method: str, path: str, options: dict[str, object], status: int
) -> None:
    response = api.ask(method, path, "auditor", **options)
    assert response.status_code == status
    assert response.headers["Content-Type"] == "application/problem+json"
    document = response.json()
    assert document["status"] == status and document["type"].startswith("urn:custody:problem:")


def test_no_answer_is_kept_by_anybody_between(api: Api) -> None:
    for path in ("/v1/sessions", "/v1/whoami", "/v1/nothing"):
        response = api.ask("GET", path, "auditor")
        assert response.headers["Cache-Control"] == "no-store" and "server" not in response.headers


def test_bytes_that_are_no_http_end_soon_and_leave_it_serving(api: Api) -> None:
    for data in (b"\x16\x03\x01" + b"\x00" * 200, b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 20_000, b"\r\n" * 9):
        with socket.create_connection(("127.0.0.1", api.port), 10) as connection:
            connection.settimeout(20)
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            received = b""
            try:
                while piece := connection.recv(4096):
                    received += piece
            except ConnectionError:
                pass
        assert b"200" not in received[:20]
    assert api.ask("GET", "/healthz").status_code == 200


def test_no_password_is_in_the_log_or_the_trail(api: Api) -> None:
    for role in ROLES:
        api.ask("GET", "/v1/whoami", role)
    seen = api.log_text() + repr(api.trail())
    assert not any(api.home.read_secret(f"api/{role}.password") in seen for role in ROLES)


def test_no_record_no_answer(own_kafka: Kafka, bare_home: Home, filled_store: Store) -> None:
    connect_to(bare_home, own_kafka, filled_store, capture={"audit_timeout_s": 1.0})
    with run_api(bare_home) as api:
        assert document_of(api.ask("GET", "/v1/sessions", "auditor"))["sessions"]
        own_kafka.broker.stop()
        refused = api.ask("GET", "/v1/sessions", "auditor")
        assert refused.status_code == 503 and "sessions" not in refused.json()
        assert refused.json()["type"] == "urn:custody:problem:audit-unavailable"
        assert api.ask("GET", "/healthz").status_code == 200
        own_kafka.broker.start()
        deadline = time.monotonic() + 60
        while api.ask("GET", "/v1/sessions", "auditor").status_code != 200:
            assert time.monotonic() < deadline
            time.sleep(0.5)


def test_local_logins_can_be_switched_off(kafka: Kafka, bare_home: Home, filled_store: Store) -> None:
    connect_to(bare_home, kafka, filled_store, api={"local_logins": False})
    with run_api(bare_home) as api:
        assert api.ask("GET", "/v1/whoami", "auditor").status_code == 401


def test_another_address_than_loopback_needs_tls(bare_home: Home) -> None:
    from schemas.config import find_settings
    from schemas.errors import ConfigError

    write_settings(bare_home, api={"bind": "0.0.0.0"})
    with pytest.raises(ConfigError, match="tls_certificate"):
        find_settings(bare_home)
