"""mitmproxy's HTTP/1 connections, mended: trailers, informational answers, bounded heads, clear errors."""

import json
from collections.abc import Generator
from typing import Any, Final

import h11
from h11._readers import ChunkedReader
from mitmproxy import http
from mitmproxy.net.http import http1
from mitmproxy.proxy import commands, events
from mitmproxy.proxy.context import Context

from ingest.http.connection import AgentConnection
from ingest.http.engine import (
    ErrorCode,
    Http1Client,
    Http1Server,
    HttpEvent,
    ReceiveHttp,
    RequestEndOfMessage,
    RequestHeaders,
    RequestTrailers,
    ResponseEndOfMessage,
    ResponseHeaders,
    ResponseProtocolError,
    ResponseTrailers,
    make_body_reader,
)
from ingest.http.http2 import ConsumedData

MAX_HEAD_BYTES: Final = 65_536
MAX_HEADERS: Final = 200
MAX_PIPELINED_BYTES: Final = 1 << 20
Commands = Generator[commands.Command, Any]


class TrailingReader:
    """h11's reader of chunks, keeping the trailers where mitmproxy does not look for them."""

    def __init__(self, reader: ChunkedReader) -> None:
        self._reader = reader
        self.trailers: list[tuple[bytes, bytes]] = []

    def __call__(self, buf: Any) -> Any:
        return self._strip(self._reader(buf))

    def read_eof(self) -> Any:
        return self._strip(self._reader.read_eof())

    def _strip(self, event: Any) -> Any:
        if isinstance(event, h11.EndOfMessage) and event.headers:
            self.trailers = list(event.headers.raw_items())
            return h11.EndOfMessage()
        return event


class _Mended:
    """What both directions share: trailers in, trailers out, a bounded buffer of what cannot be read yet."""

    _reader: Any = None
    _trailers: tuple[tuple[bytes, bytes], ...] = ()

    @property
    def body_reader(self) -> Any:
        return self._reader

    @body_reader.setter
    def body_reader(self, reader: Any) -> None:
        self._reader = TrailingReader(reader) if isinstance(reader, ChunkedReader) else reader

    def read_body(self, event: events.Event) -> Commands:
        """As mitmproxy, with the trailers before the end."""
        reader = self._reader
        if not isinstance(reader, TrailingReader):
            yield from super().read_body(event)  # type: ignore[misc]
            return
        for command in super().read_body(event):  # type: ignore[misc]
            if isinstance(command, ReceiveHttp) and reader.trailers:
                kind = {RequestEndOfMessage: RequestTrailers, ResponseEndOfMessage: ResponseTrailers}.get(
                    type(command.event)
                )
                if kind is not None:
                    yield ReceiveHttp(kind(command.event.stream_id, http.Headers(reader.trailers)))
                    reader.trailers = []
            yield command
        if self._reader is reader and len(self.buf) > MAX_HEAD_BYTES:  # type: ignore[attr-defined]
            yield commands.CloseConnection(self.conn)  # type: ignore[attr-defined]

    def send(self, event: HttpEvent) -> Commands:
        """As mitmproxy, with the trailers after the last chunk."""
        if isinstance(event, ConsumedData):
            return
        if isinstance(event, (RequestTrailers, ResponseTrailers)):
            self._trailers = event.trailers.fields
            return
        for command in super().send(event):  # type: ignore[misc]
            if self._trailers and isinstance(command, commands.SendData) and command.data == b"0\r\n\r\n":
                lines = b"".join(b"%s: %s\r\n" % field for field in self._trailers)
                command = commands.SendData(command.connection, b"0\r\n" + lines + b"\r\n")
            yield command
        if isinstance(event, (RequestEndOfMessage, ResponseEndOfMessage)):
            self._trailers = ()


class MendedHttp1Server(_Mended, Http1Server):
    """The agent's side."""

    def __init__(self, context: Context, agent: AgentConnection) -> None:
        super().__init__(context)
        self._agent = agent

    def _handle_event(self, event: events.Event) -> Commands:
        if isinstance(event, HttpEvent) and event.stream_id != self.stream_id:
            return  # of a stream that this connection has left behind
        yield from super()._handle_event(event)
        if len(self.buf) > MAX_PIPELINED_BYTES and self.state == self.wait:
            self._agent.close_reason = "pipelining_too_far"
            yield commands.CloseConnection(self.conn)

    def read_headers(self, event: events.ConnectionEvent) -> Commands:
        """Read a head, or say clearly what is wrong with it."""
        if not isinstance(event, events.DataReceived):
            self.buf.maybe_extract_at_most(len(self.buf) or 1)
            yield from super().read_headers(event)
            return
        lines = self.buf.maybe_extract_lines()
        if lines is None:
            if len(self.buf) > MAX_HEAD_BYTES:
                yield from self._reject(431, "the head of the request is too large")
            return
        if not lines:
            return
        if len(lines) > MAX_HEADERS or sum(map(len, lines)) > MAX_HEAD_BYTES:
            yield from self._reject(431, "the head of the request is too large")
            return
        try:
            self.request = http1.read_request_head([bytes(line) for line in lines])
            size = http1.expected_http_body_size(self.request)
        except ValueError:
            yield from self._reject(400, "the request is malformed")
            return
        self.response = None
        yield ReceiveHttp(RequestHeaders(self.stream_id, self.request, size == 0))
        self.body_reader = make_body_reader(size)
        self.state = self.read_body
        yield from self.state(event)

    def _reject(self, status: int, message: str) -> Commands:
        agent = self._agent
        known = agent.shared.resources.get(agent.fixed or (agent.tunnel[0] if agent.tunnel else ""))
        agent.refuse("bad_request", known or agent.shared.unregistered, detail=message)
        body = json.dumps({"error": message, "code": "bad_request"}).encode() + b"\n"
        head = (
            b"HTTP/1.1 %d Refused\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
        )
        yield commands.SendData(self.conn, head % (status, len(body)) + body)
        agent.close_reason = "bad_request"
        self.state = self.done
        yield commands.CloseConnection(self.conn)


class MendedHttp1Client(_Mended, Http1Client):
    """The upstream's side."""

    def read_headers(self, event: events.ConnectionEvent) -> Commands:
        """Informational answers pass before the final one."""
        while isinstance(event, events.DataReceived) and self.request is not None:
            head = bytes(self.buf)[:13]
            if not (head.startswith(b"HTTP/1.") and head[9:10] == b"1" and head[9:12] != b"101"):
                break
            lines = self.buf.maybe_extract_lines()
            if not lines:
                break
            try:
                response = http1.read_response_head([bytes(line) for line in lines])
            except ValueError:
                yield from self._fail("the upstream's answer is malformed")
                return
            yield ReceiveHttp(ResponseHeaders(self.stream_id or 0, response))
        if len(self.buf) > MAX_HEAD_BYTES * 4 and b"\r\n\r\n" not in bytes(self.buf):
            yield from self._fail("the head of the upstream's answer is too large")
            return
        yield from super().read_headers(event)

    def _fail(self, message: str) -> Commands:
        yield commands.CloseConnection(self.conn)
        yield ReceiveHttp(ResponseProtocolError(self.stream_id or 0, message, ErrorCode.GENERIC_SERVER_ERROR))
