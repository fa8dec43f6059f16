"""How a request ends when its end is not the upstream's: Custody's own answers, and broken connections."""

import json
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from mitmproxy import http
from mitmproxy.connection import Connection, ConnectionState
from mitmproxy.proxy import commands, events
from mitmproxy.proxy.context import Context

from ingest.http import heads
from ingest.http.calls import rpc_error
from ingest.http.connection import AGENT_CLOSED, AbortHook, AgentConnection, AwaitHook
from ingest.http.engine import (
    DropStream,
    ErrorCode,
    HttpStream,
    RequestEndOfMessage,
    RequestProtocolError,
    ResponseData,
    ResponseEndOfMessage,
    ResponseHeaders,
    ResponseProtocolError,
    SendHttp,
)
from ingest.http.exchange import Exchange
from schemas.errors import AuditUnavailable

BREAKS: Final = {
    "answer_withheld": "the answer cannot be masked as policy demands",
    "audit_unavailable": "the audit log does not answer",
    "bad_request": "the Custody credential stands in the content",
    "upstream_closed": "the upstream broke off",
}
"""Why a stream is broken off: the reason with which its session closes, and the error of its action."""

FORBIDDEN: Final = 403
_REASONS: Final = {
    200: b"OK",
    400: b"Bad Request",
    401: b"Unauthorized",
    403: b"Forbidden",
    407: b"Proxy Authentication Required",
    502: b"Bad Gateway",
    503: b"Service Unavailable",
}


class EndingStream(HttpStream):
    """A stream that waits for its records, and can end at any time."""

    def __init__(self, context: Context, stream_id: int, agent: AgentConnection) -> None:
        super().__init__(context, stream_id)
        self.agent = agent
        self.exchange: Exchange
        self.response: http.Response
        self.is_request_over = False
        self.is_answer_begun = False
        self.call_id: str | int | None = None
        """Of a request to an MCP server: refusals are answers to it."""

    @property
    def known_exchange(self) -> Exchange | None:
        """The exchange; None before anybody logged in."""
        return self.__dict__.get("exchange")

    @property
    def parent(self) -> Any:
        """The CapturedHttpLayer of this stream."""
        return self.context.layers[self.context.layers.index(self) - 1]

    # -- waiting

    def wait_for(self, ticket: int, pausing: Connection | None = None) -> Any:
        """Wait until a ticket is released. False when the audit log does not answer."""
        session = self.exchange.session
        if session.is_released(ticket):
            return True
        return (yield from self.await_run(lambda: session.wait(ticket), pausing))

    def await_run(self, run: Callable[[], Any], pausing: Connection | None) -> Any:
        """Wait for `run`, reading no more from `pausing` meanwhile. False when it failed."""
        wait = AwaitHook(run)
        handler = self.agent.handler
        # Several HTTP/2 streams share a connection: there the window of the stream holds its peer back instead.
        held_back = pausing if pausing is not None and pausing.alpn != b"h2" else None
        if held_back is not None:
            handler.pause(held_back)
        yield wait
        if held_back is not None:
            handler.resume(held_back)
        return wait.error is None

    def is_abandoned(self) -> bool:
        """Whether the agent went away while this stream waited."""
        return any(isinstance(event, RequestProtocolError) for event in self._paused_event_queue)

    # -- refusals

    def refuse_unrecorded(self) -> Any:
        """The log does not take the request: it is not carried out."""
        yield from self.answer_locally(503, "audit_unavailable", "the audit log does not answer; nothing was done")

    def refuse_outcome(self) -> Any:
        """The upstream acted, and that cannot be recorded: never success. A read may be asked again, so it is told."""
        if self.exchange.is_write or self.is_answer_begun:
            yield from self.break_off("audit_unavailable")
        else:
            yield from self.answer_locally(
                503, "audit_unavailable", "the audit log does not answer; the answer is withheld"
            )

    def withhold(self, fault: str, body: bytes | None, *, is_over: bool) -> Any:
        """The answer cannot be masked: nothing more of it is shown. `body`: what came of it; None: it was tallied."""
        if self.is_answer_begun:
            yield from self.break_off("answer_withheld")
            return
        exchange = self.exchange
        message = f"{BREAKS['answer_withheld']}, so it is withheld: {fault}"
        if exchange.is_write:
            message += " (the request was carried out)"
        status = str(self.response.status_code)
        try:
            fields = ((b"upstream-status", status.encode()),)
            ticket = exchange.completed(403, fields, body, error=message, shown=b"")
        except AuditUnavailable:
            ticket = -1
        if ticket < 0 or not (yield from self.wait_for(ticket)):
            yield from self.refuse_outcome()
            return
        if not is_over and self.context.server in self.parent.connections:
            yield SendHttp(RequestProtocolError(self.stream_id, "withheld", ErrorCode.CANCEL), self.context.server)
        yield from self.answer_locally(403, "answer_withheld", message)

    def answer_locally(
        self,
        status: int,
        code: str,
        message: str,
        extra: Sequence[heads.Field] = (),
        *,
        is_last: bool = False,
        facts: Mapping[str, str] = MappingProxyType({}),
        document: Mapping[str, object] | None = None,
    ) -> Any:
        """Custody's own answer, as JSON: why it refuses, or a document. Whatever the agent still sends is dropped."""
        exchange = self.known_exchange
        if exchange is not None and not exchange.is_done:
            try:
                exchange.completed(status, error=message)
            except AuditUnavailable:
                exchange.is_done = True
        if exchange is not None:
            self.agent.exchanges.discard(exchange)
        if status == FORBIDDEN and self.call_id is not None:
            status, document = 200, rpc_error(self.call_id, code, message, facts)
        told = document if document is not None else {"error": message, "code": code, **facts}
        body = json.dumps(told).encode() + b"\n"
        fields = [(b"Content-Type", b"application/json"), (b"Content-Length", b"%d" % len(body)), *extra]
        if is_last or not self.is_request_over:
            fields.append((b"Connection", b"close"))
        if self.flow.request.method == "HEAD":
            body = b""
        response = http.Response(
            b"HTTP/1.1", status, _REASONS.get(status, b"Refused"), http.Headers(fields), body, None, 0, 0
        )
        self.flow.response = self.response = response
        self.server_state = self.state_errored
        self.is_answer_begun = True
        yield SendHttp(ResponseHeaders(self.stream_id, response, not body), self.context.client)
        if body:
            yield SendHttp(ResponseData(self.stream_id, body), self.context.client)
        is_over = self.is_request_over
        self.client_state = self.state_errored if is_over else self.state_discard
        if is_over:
            yield DropStream(self.stream_id)
        yield SendHttp(ResponseEndOfMessage(self.stream_id), self.context.client)
        if is_last and not is_over and self.context.client.alpn != b"h2":
            yield commands.CloseConnection(self.context.client)

    def state_discard(self, event: events.Event) -> Any:
        """The answer is out; the rest of the request means nothing."""
        if isinstance(event, RequestEndOfMessage):
            self.client_state = self.state_errored
            yield DropStream(self.stream_id)

    def break_off(self, cause: str) -> Any:
        """End both sides so that nobody can take it for success. `cause` is one of BREAKS."""
        reason = BREAKS[cause]
        exchange = self.known_exchange
        if exchange is not None and not exchange.is_done:
            try:
                exchange.completed(499, error=reason, body=None if exchange.answer else b"")
            except AuditUnavailable:
                exchange.is_done = True
        if exchange is not None:
            self.agent.exchanges.discard(exchange)
        self.client_state = self.server_state = self.state_errored
        self.flow.live = False
        if self.context.server in self.parent.connections:
            yield SendHttp(RequestProtocolError(self.stream_id, reason, ErrorCode.CANCEL), self.context.server)
        if self.context.client.alpn != b"h2":
            self.agent.close_reason = cause
            yield AbortHook(self.context.client)
        yield SendHttp(ResponseProtocolError(self.stream_id, reason, ErrorCode.KILL), self.context.client)
        yield DropStream(self.stream_id)

    def lose_agent(self, event: RequestProtocolError) -> Any:
        """The agent broke off: so does what it asked for."""
        if self.client_state == self.state_errored or self.server_state in (self.state_done, self.state_errored):
            yield DropStream(self.stream_id)
            return
        exchange = self.known_exchange
        if exchange is not None:
            is_gone = not self.context.client.state & ConnectionState.CAN_READ  # not only one stream of many
            if is_gone and self.agent.close_reason == AGENT_CLOSED:  # and it was not we who ended it
                self.agent.close_reason = "agent_disconnected"
            try:
                exchange.completed(499, error="the agent broke off", body=None if exchange.answer else b"")
            except AuditUnavailable:
                exchange.is_done = True
            self.agent.exchanges.discard(exchange)
        if self.context.server in self.parent.connections:
            yield SendHttp(event, self.context.server)
        self.client_state = self.server_state = self.state_errored
        self.flow.live = False
        yield DropStream(self.stream_id)

    def lose_upstream(self, event: ResponseProtocolError) -> Any:
        """The upstream broke off, or cannot be reached."""
        if self.client_state == self.state_errored or self.server_state in (self.state_done, self.state_errored):
            yield DropStream(self.stream_id)
            return
        if self.is_answer_begun:
            yield from self.break_off("upstream_closed")
            return
        is_reached = event.code is not ErrorCode.CONNECT_FAILED
        message = BREAKS["upstream_closed"] if is_reached else "the upstream cannot be reached"
        yield from self.fail_upstream("upstream_failed", message)

    def fail_upstream(self, code: str, message: str) -> Any:
        """Nothing of an answer came: say so, on record."""
        exchange = self.known_exchange
        try:
            ticket = exchange.completed(502, error=message) if exchange is not None else 0
        except AuditUnavailable:
            ticket = -1
        if ticket < 0 or (exchange is not None and not (yield from self.wait_for(ticket))):
            yield from self.refuse_outcome()
            return
        yield from self.answer_locally(502, code, message)
