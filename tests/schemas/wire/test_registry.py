"""The registry client against a real HTTP server, and against what only looks like one."""

import json
import socket
import threading
from collections.abc import Iterator

import pytest

from schemas.config import Settings
from schemas.errors import ConfigError, RecordError, Unreachable
from schemas.events import Control, EventBatch
from schemas.wire import framing, registry
from schemas.wire.registry import HttpRegistry, make_registry, subject_of
from tests.support.ports import get_free_port
from tests.support.registry import RegistryServer, run_registry

CONTROL = Control("resource", "db", 1, "{}", "api", b"sig")


@pytest.fixture
def server() -> Iterator[RegistryServer]:
    with run_registry() as running:
        yield running


def test_a_record_goes_through_and_ids_are_asked_for_once(server: RegistryServer) -> None:
    writer, reader = HttpRegistry(server.url), HttpRegistry(server.url + "/")
    for _ in range(3):
        framed = framing.encode(CONTROL, writer)
        assert framed[:5] == b"\0\0\0\0\x01"
        assert framing.decode(framed, reader) == framing.decode(framed, writer) == CONTROL
    assert server.asked == ["POST /subjects/custody.control.v1-custody.v1.Control/versions", "GET /schemas/ids/1"]


def test_every_record_on_kafka_has_a_subject_by_topic_and_name() -> None:
    assert set(registry.TOPIC_OF) == set(framing.CURRENT) - {"StoredEvent"}  # which is only ever hashed and stored
    assert subject_of("SealedBatch") == "custody.sessions.raw.v1-custody.v1.SealedBatch"
    assert subject_of("Progress") == "custody.v1.Progress"
    for record in registry.TOPIC_OF:
        document = framing.load_avsc(record)
        assert subject_of(record).endswith(f"{document['namespace']}.{document['name']}")


def test_a_schema_printed_otherwise_is_still_ours(server: RegistryServer) -> None:
    framed = framing.encode(CONTROL, HttpRegistry(server.url))
    server.schemas[0] = json.dumps(json.loads(server.schemas[0]), indent=2, sort_keys=True)
    assert framing.decode(framed, HttpRegistry(server.url)) == CONTROL


def test_an_unknown_id_is_a_faulty_record_and_is_asked_for_again(server: RegistryServer) -> None:
    client = HttpRegistry(server.url)
    with pytest.raises(RecordError, match="knows no schema 1"):
        framing.decode(b"\0\0\0\0\x01body", client)
    framed = framing.encode(CONTROL, HttpRegistry(server.url))
    assert framing.decode(framed, client) == CONTROL


@pytest.mark.parametrize(
    "answer",
    [
        (200, b""), (200, b"<html>"), (200, b"[1]"), (200, b"{}"), (200, b'{"id": true}'), (200, b'{"id": "1"}'),
        (200, b'{"id": -1}'), (200, b'{"id": 4294967296}'), (200, b'{"id": 1}' + b" " * (2 << 20)), (200, b"[" * 9_999),
        (200, b"\xff\xfe"), (404, b"not here"), (404, b'{"error_code": 404}'), (301, b""), (401, b"{}"), (500, b"{}"),
        (503, b"later"), (429, b'{"message": "slow\\u0007 down"}'),
    ],
    ids=lambda answer: f"{answer[0]} {answer[1][:12]!r}",
)  # fmt: skip
def test_what_no_registry_says_condemns_no_record(server: RegistryServer, answer: tuple[int, bytes]) -> None:
    server.answer = lambda path: answer
    with pytest.raises(Unreachable, match=r"schema registry at 127\.0\.0\.1:") as refused:
        framing.encode(CONTROL, HttpRegistry(server.url))
    assert "\a" not in str(refused.value)
    with pytest.raises(Unreachable):
        framing.decode(b"\0\0\0\0\x01body", HttpRegistry(server.url))


def test_a_refused_schema_is_named(server: RegistryServer) -> None:
    server.answer = lambda path: (409, b'{"error_code": 409, "message": "incompatible"}')
    with pytest.raises(RecordError, match="refuses the schema of Control: 409 incompatible"):
        framing.encode(CONTROL, HttpRegistry(server.url))


@pytest.mark.parametrize(
    "answer",
    [
        {"schema": "{"}, {"schema": '"int"'}, {"schema": "[" * 99_999}, {"schema": '{"type": "nonsense"}'},
        {"schema": "syntax = 'proto3'", "schemaType": "PROTOBUF"},
    ],
    ids=lambda answer: answer["schema"][:12],
)  # fmt: skip
def test_a_foreign_schema_is_a_faulty_record(server: RegistryServer, answer: dict[str, str]) -> None:
    server.answer = lambda path: (200, json.dumps(answer).encode())
    with pytest.raises(RecordError):
        framing.decode(b"\0\0\0\0\x07body", HttpRegistry(server.url))


def test_no_answer_at_all_is_unreachable() -> None:
    client = HttpRegistry(f"http://127.0.0.1:{get_free_port()}")
    with pytest.raises(Unreachable, match="Connection refused"):
        framing.encode(EventBatch("p", "e", 0), client)


def test_an_answer_that_drips_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "TOTAL_TIMEOUT_S", 0.5)
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def drip() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
                try:
                    while not over.wait(0.05):
                        connection.sendall(b" ")
                except OSError:
                    return

        thread = threading.Thread(target=drip)
        thread.start()
        with pytest.raises(Unreachable):
            HttpRegistry(f"http://127.0.0.1:{listener.getsockname()[1]}").schema_of(1)
        over.set()
        thread.join()


def test_credentials_are_sent_and_never_shown(server: RegistryServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(registry.ENV_AUTH, "custody:hunter2secret")
    client = make_registry(Settings.model_validate({"schema_registry": {"url": server.url}}))
    assert client is not None and "hunter2" not in repr(client)
    framing.encode(CONTROL, client)
    assert server.headers[0]["Authorization"] == "Basic Y3VzdG9keTpodW50ZXIyc2VjcmV0"
    server.answer = lambda path: (401, b"{}")
    with pytest.raises(Unreachable, match=r"401: look at CUSTODY_REGISTRY_AUTH") as refused:
        framing.encode(EventBatch("p", "e", 0), client)
    assert "hunter2" not in str(refused.value)


def test_credentials_that_would_be_seen_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    far = Settings.model_validate({"schema_registry": {"url": "http://registry.example:8081"}})
    assert make_registry(far) is not None and make_registry(Settings()) is None
    monkeypatch.setenv(registry.ENV_AUTH, "custody:hunter2secret")
    with pytest.raises(ConfigError, match="https only"):
        make_registry(far)
    monkeypatch.setenv(registry.ENV_AUTH, "hunter2secret")
    with pytest.raises(ConfigError, match="not user:password") as refused:
        make_registry(far)
    assert "hunter2" not in str(refused.value)


def test_a_missing_ca_file_is_a_settings_fault() -> None:
    wanted = {"schema_registry": {"url": "https://registry.example", "ca_file": "absent.pem"}}
    with pytest.raises(ConfigError, match=r"schema_registry\.ca_file"):
        make_registry(Settings.model_validate(wanted))
