"""HTTP/1 byte by byte: what the engine leaves out by itself, and what no client should send."""

import json
import socket

import pytest

from tests.ingest.http.conftest import Captured, Front
from tests.support.http_edges import Edges


def raw(front: Front, captured: Captured, request: str, until: bytes = b"") -> bytes:
    """Send a request as it stands (with the credential added) and read to the end, or until bytes were seen."""
    head = request.format(auth=f"Authorization: {captured.bearer['Authorization']}")
    with socket.create_connection(("127.0.0.1", front.port), timeout=20) as connection:
        connection.sendall(head.encode())
        received = b""
        while (not until or until not in received) and (data := connection.recv(65536)):
            received += data
    return received


def test_trailers_arrive_and_are_recorded(captured: Captured, edge: Front) -> None:
    request = "GET /trailers HTTP/1.1\r\nHost: x\r\n{auth}\r\nConnection: close\r\n\r\n"
    assert raw(edge, captured, request).endswith(b"4\r\nbody\r\n0\r\nX-Sum: 42\r\n\r\n")
    (outcome,) = edge.trail().of("action.completed")
    assert outcome.attributes["trailer.x-sum"] == "42"
    assert outcome.payload == b"body"


def test_early_hints_pass_before_the_answer(captured: Captured, edge: Front) -> None:
    received = raw(edge, captured, "GET /hints HTTP/1.1\r\nHost: x\r\n{auth}\r\n\r\n", until=b"hinted")
    assert received.startswith(b"HTTP/1.1 103 ")
    assert b"\r\n\r\nHTTP/1.1 200 OK\r\n" in received


def test_an_answer_that_ends_by_closing_gets_a_true_end_mark(captured: Captured, edge: Front) -> None:
    request = "GET /unframed HTTP/1.1\r\nHost: x\r\n{auth}\r\nConnection: close\r\n\r\n"
    received = raw(edge, captured, request)
    assert b"transfer-encoding: chunked" in received.lower()
    assert received.endswith(b"0\r\n\r\n")


def test_uploads_keep_their_trailers(captured: Captured, edge: Front) -> None:
    request = (
        "POST /echo HTTP/1.1\r\nHost: x\r\n{auth}\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        "5\r\nhello\r\n0\r\nX-Sum: 7\r\n\r\n"
    )
    received = raw(edge, captured, request)
    assert json.loads(received.partition(b"\r\n\r\n")[2])["trailers"] == {"x-sum": "7"}
    trail = edge.trail()
    (whole,) = trail.of("data.sent")
    assert (whole.payload, whole.payload_bytes, whole.attributes["stream.end"]) == (b"hello", 5, "whole")


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"\x16\x03\x01\x00\x05hello\r\n\r\n", b"400"),
        (b"GET / HTTP/9.9.9\r\n\r\n", b"400"),
        (b"GET\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nno colon here\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nContent-Length: -5\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nBad Name: 1\r\n\r\n", b"400"),
        (b"CONNECT example.test:443 HTTP/1.1\r\nHost: example.test\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 500 + b"\r\n", b"431"),
        (b"GET / HTTP/1.1\r\nX: " + b"y" * 300_000, b"431"),
    ],
)
def test_malformed_requests_get_a_clear_error_and_a_record(
    edge: Front, edges: Edges, request_bytes: bytes, status: bytes
) -> None:
    with socket.create_connection(("127.0.0.1", edge.port), timeout=10) as connection:
        connection.sendall(request_bytes)
        received = b""
        try:
            while data := connection.recv(65536):
                received += data
        except ConnectionResetError:
            pass
    assert received.startswith(b"HTTP/1.1 " + status)
    assert b'"code": "bad_request"' in received
    assert edge.trail().events[-1].status == "bad_request"
    assert not edges.seen


def test_a_broken_chunk_ends_the_request(edge: Front, captured: Captured) -> None:
    head = f"POST /echo HTTP/1.1\r\nHost: x\r\nAuthorization: {captured.bearer['Authorization']}\r\n"
    with socket.create_connection(("127.0.0.1", edge.port), timeout=10) as connection:
        connection.sendall(head.encode() + b"Transfer-Encoding: chunked\r\n\r\nnot a size\r\n")
        assert connection.recv(10) == b""
    trail = edge.trail()
    assert trail.of("action.completed")[0].status == "499"
