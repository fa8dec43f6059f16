"""The gate of one HTTP request: mitmproxy's stream layer with the record in front of every release.

The request's half is here, who asks in login.py, the answer in answer.py.
"""

from collections.abc import Generator
from typing import Any

from mitmproxy import http
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.context import Context

from ingest.approvals import Question
from ingest.claims import step_of
from ingest.gate import Ruling
from ingest.http import forwarding, heads
from ingest.http.answer import HELD_BYTES
from ingest.http.authorization import asks_for_metadata
from ingest.http.calls import CALL_BYTES, Content, is_told_by_body
from ingest.http.connection import AgentConnection, AwaitHook
from ingest.http.engine import (
    HTTPMode,
    RequestData,
    RequestEndOfMessage,
    RequestHeaders,
    RequestProtocolError,
    RequestTrailers,
    ResponseHeaders,
    ResponseProtocolError,
    SendHttp,
    validate_request,
)
from ingest.http.exchange import MASKED_CREDENTIAL, Exchange, Tally
from ingest.http.holding import TOO_LONG
from ingest.http.login import UNAUTHORIZED, LoginStream
from schemas.errors import AuditUnavailable
from schemas.events import EventKind, Verdict
from schemas.resources import Resource

Commands = Generator[commands.Command, Any]
Check = Generator[commands.Command, Any, bool]


class CapturedStream(LoginStream):
    """One request of an agent: who it is, what it may, the record of it, and its way upstream."""

    def __init__(self, context: Context, stream_id: int, agent: AgentConnection) -> None:
        super().__init__(context, stream_id, agent)
        self._fields: heads.Fields = ()
        self._size: int | None = 0
        self.upload: Tally
        self._last_piece = b""

    # -- the head

    def state_wait_for_request_headers(self, event: RequestHeaders) -> Commands:
        """A request's head: find the resource, check the credential, then hold or stream the body."""
        request = event.request
        self.flow = http.HTTPFlow(self.context.client, self.context.server)
        self.flow.request = request
        self.flow.live = True
        self.is_request_over = event.end_stream
        fault = validate_request(self.mode, request, True)
        if fault or (request.method == "CONNECT" and self.mode is not HTTPMode.regular):
            yield from self.turn_away(400, "bad_request", "the request is malformed")
            return
        if asks_for_metadata(request, self.agent.shared.resources.get(self.agent.fixed)):
            yield from self.describe(request)
            return
        resource = self.find_resource(request)
        if not (yield from self.identify(request, resource or self.agent.shared.unregistered)):
            return
        if resource is None:
            yield from self._refuse_destination(request)
            return
        if request.method == "CONNECT":
            yield from self._open_tunnel(request)
            return
        self.exchange = Exchange(self.live.session, request.method)
        self.agent.exchanges.add(self.exchange)
        self._fields = request.headers.fields
        self._size = forwarding.body_size(request, event.end_stream)
        if (yield from self._refuse_leak()):
            return
        if request.headers.get("expect", "").lower() == "100-continue":
            yield SendHttp(
                ResponseHeaders(
                    self.stream_id, http.Response(b"HTTP/1.1", 100, b"Continue", http.Headers(), None, None, 0, 0)
                ),
                self.context.client,
            )
        most = CALL_BYTES if is_told_by_body(request, self.resource) else HELD_BYTES
        if self._size <= most if self._size is not None else most == CALL_BYTES:
            self.client_state = self.state_consume_request_body
        else:
            yield from self._begin_upload()

    def _refuse_destination(self, request: http.Request) -> Commands:
        """An action on something that is not registered: recorded and refused."""
        reason = "the destination is not a registered resource"
        self.exchange = Exchange(self.live.session, request.method)
        self.agent.exchanges.add(self.exchange)
        self._fields = request.headers.fields
        refusal = _denial(reason, "connect", f"{request.host}:{request.port}")
        yield from self._refuse_judged(refusal, b"")

    def _open_tunnel(self, request: http.Request) -> Commands:
        self.agent.tunnel = (self.resource.name, self.live.claim)
        self.client_state = self.state_done
        self.aim(self.resource)
        self.child_layer = layer.NextLayer(self.context)
        yield from self.handle_connect_finish()  # type: ignore[no-untyped-call]

    def _refuse_leak(self) -> Check:
        """The Custody credential anywhere but in its own header would reach the record and the upstream."""
        secret, request = self.live.secret, self.flow.request
        if secret not in request.data.path and not heads.carries(self._fields, secret):
            return False
        yield from self._refuse_judged(_denial("the Custody credential stands outside its header"), b"", 400)
        return True

    # -- bodies that are held

    def state_consume_request_body(self, event: events.Event) -> Commands:
        """Collect a small body, or one that says what is called; at its end record, then forward."""
        if isinstance(event, RequestData):
            self.request_body_buf += event.data
            if self._size is None and len(self.request_body_buf) > CALL_BYTES:
                yield from self._give_up_holding()
        elif isinstance(event, RequestTrailers):
            self.flow.request.trailers = event.trailers
        elif isinstance(event, RequestEndOfMessage):
            body = bytes(self.request_body_buf)
            self.request_body_buf.clear()
            self.is_request_over = True
            self.client_state = self.state_done
            yield from self._forward_held(body)

    def _give_up_holding(self) -> Commands:
        """A body of unknown length turns out to be too long: it streams after all."""
        body = bytes(self.request_body_buf)
        self.request_body_buf.clear()
        yield from self._begin_upload()
        if self.client_state == self.state_stream_request_body:
            yield from self._pass_upload(body)

    def _forward_held(self, body: bytes) -> Commands:
        if body and self.live.secret in body:
            refusal = _denial("the Custody credential stands in the content")
            yield from self._refuse_judged(refusal, body.replace(self.live.secret, b""), 400)
            return
        content = Content(self.flow.request, self.resource, body)
        self.call_id = content.call_id
        ruling = self._rule(content)
        question = self._question(ruling, body)
        if ruling.is_refused and question is None:
            yield from self._refuse_judged(_as_unseen(ruling), body)
            return
        self.note_mask(ruling)
        if not (yield from self._record_request(ruling, body)):
            return
        if question is not None and not (yield from self.await_approval(ruling, question)):
            return
        if not (yield from self._reach_upstream()):
            return
        request = self.flow.request
        if self._size is None:
            self._mark_end()
        is_empty = not (body or request.trailers)
        yield SendHttp(RequestHeaders(self.stream_id, request, is_empty), self.context.server)
        if body:
            yield SendHttp(RequestData(self.stream_id, body), self.context.server)
            self.exchange.session.ledger.to_upstream += len(body)
        yield from self._end_request()

    def _question(self, ruling: Ruling, body: bytes) -> Question | None:
        """What people are asked about a request with this body; None when they could not see all of it."""
        if ruling.approval is None:
            return None
        exchange, statement = self.exchange, self._statement()
        limits = exchange.session.resource.limits
        payload, kind, attributes = exchange.show(body, self._recorded_fields())
        is_cut = len(body) > limits.max_payload_bytes or (len(payload) >= limits.max_payload_bytes and payload != body)
        if is_cut or len(statement) > limits.max_statement_bytes:
            return None
        return Question(
            exchange.action_id,
            statement,
            ruling.fingerprint,
            ruling.approval,
            "request",
            operation=ruling.operation,
            objects=ruling.objects,
            payload=payload,
            payload_type=kind,
            attributes=attributes | ruling.attributes,
        )

    def _rule(self, content: Content) -> Ruling:
        request = self.flow.request
        target = self._statement()
        override = request.headers.get("x-http-method-override")
        if override:  # some frameworks obey it: the more dangerous of the two counts
            target += ("&" if "?" in target else "?") + "_method=" + override
        gate = self.agent.shared.gate
        self.exchange.claims = content.claims
        step = step_of(heads.join_links(request.headers.fields, self.exchange.claims)) if gate.looks_at_step else ""
        return gate.rule(self.live.session, target, step=step, classified=content.classify(target))

    def _record_request(self, ruling: Ruling, body: bytes | None) -> Check:
        """Record the request; a write waits for it. False when it must not go on (the agent has its answer)."""
        exchange = self.exchange
        try:
            ticket = exchange.requested(self._statement(), self._version(), self._recorded_fields(), ruling, body)
        except AuditUnavailable:
            yield from self.refuse_unrecorded()
            return False
        if exchange.is_write and not (yield from self.wait_for(ticket)):
            yield from self.refuse_unrecorded()
            return False
        return True

    def _refuse_judged(self, ruling: Ruling, body: bytes, status: int = 403) -> Commands:
        exchange = self.exchange
        message = ruling.reason or "denied by policy"
        try:
            exchange.requested(self._statement(), self._version(), self._recorded_fields(), ruling, body)
            exchange.decided(ruling)
            ticket = exchange.completed(status, error=message, verdict=ruling.verdict)
        except AuditUnavailable:
            ticket = -1
        if ticket < 0 or not (yield from self.wait_for(ticket)):
            yield from self.refuse_unrecorded()
            return
        yield from self.answer_locally(status, "denied", message)

    def _statement(self) -> str:
        is_registered = self.resource is not self.agent.shared.unregistered
        return self._clean(
            forwarding.statement_of(self.flow.request, self.resource.upstream if is_registered else None)
        )

    def _version(self) -> str:
        """E.g. `HTTP/2.0 TLSv1.3`: a tunnel's TLS begins after its session."""
        return f"{self.flow.request.http_version} {self.context.client.tls_version or ''}".rstrip()

    def _clean(self, text: str) -> str:
        return text.replace(self.live.secret.decode("latin-1"), MASKED_CREDENTIAL) if self.is_known else text

    def _recorded_fields(self) -> heads.Fields:
        secret = self.live.secret if self.is_known else b""
        if secret and heads.carries(self._fields, secret):
            return tuple((name, value.replace(secret, MASKED_CREDENTIAL.encode())) for name, value in self._fields)
        return self._fields

    # -- bodies that stream

    def _begin_upload(self) -> Commands:
        """Head on record, then forwarded; the body follows as it comes."""
        ruling = self._rule(Content(self.flow.request, self.resource, None))
        if ruling.is_refused:
            yield from self._refuse_judged(_as_unseen(ruling), b"")
            return
        self.note_mask(ruling)
        self.upload = Tally(self.exchange.session)
        self.client_state = self.state_stream_request_body
        if not (yield from self._record_request(ruling, None)):
            return
        if not (yield from self.wait_for(self.exchange.request_ticket)):
            yield from self.refuse_unrecorded()
            return
        if not (yield from self._reach_upstream()):
            return
        if self._size is None:
            self._mark_end()
        yield SendHttp(RequestHeaders(self.stream_id, self.flow.request, end_stream=False), self.context.server)

    def _mark_end(self) -> None:
        """A body whose length nobody said needs an end mark over HTTP/1."""
        headers = self.flow.request.headers
        if self.context.server.alpn != b"h2" and "transfer-encoding" not in headers:
            headers["transfer-encoding"] = "chunked"

    def state_stream_request_body(self, event: events.Event) -> Commands:
        """Forward pieces as they come, but the last, which waits for the record of the whole."""
        if isinstance(event, RequestData):
            yield from self._pass_upload(event.data)
        elif isinstance(event, RequestTrailers):
            self.flow.request.trailers = event.trailers
        elif isinstance(event, RequestEndOfMessage):
            self.is_request_over = True
            yield from self._finish_upload()

    def _pass_upload(self, data: bytes) -> Commands:
        tally, session = self.upload, self.exchange.session
        if self.live.secret in data:
            yield from self.break_off("bad_request")
            return
        tally.add(data)
        session.ledger.from_agent += len(data)
        if self._size is not None and tally.total >= self._size:
            self._last_piece = data
            return
        if not (yield from self.keep_pace(EventKind.DATA_SENT, tally, self._fields, len(data), self.context.client)):
            yield from self.break_off("audit_unavailable")
            return
        yield SendHttp(RequestData(self.stream_id, data), self.context.server)
        session.ledger.to_upstream += len(data)
        yield from self.ease(self.context.server, self.context.client)

    def _finish_upload(self) -> Commands:
        exchange, tally = self.exchange, self.upload
        try:
            ticket = exchange.progress(EventKind.DATA_SENT, tally, self._fields, is_whole=True)
        except AuditUnavailable:
            ticket = -1
        if ticket < 0 or not (yield from self.wait_for(ticket)):
            yield from self.break_off("audit_unavailable")
            return
        if self._last_piece:
            yield SendHttp(RequestData(self.stream_id, self._last_piece), self.context.server)
            exchange.session.ledger.to_upstream += len(self._last_piece)
            self._last_piece = b""
        self.client_state = self.state_done
        yield from self._end_request()

    # -- upstream

    def _reach_upstream(self) -> Check:
        """Put the resource's own credential and address on the request, and connect."""
        request = self.flow.request
        self.aim(self.resource)
        secret = self.agent.shared.fresh_secret(self.resource)
        if secret is None:
            found: list[str] = []

            async def read() -> None:
                found.append(await self.agent.shared.upstream_secret(self.resource))

            wait = AwaitHook(read)
            yield wait
            if not found:
                yield from self.fail_upstream("upstream_secret_missing", str(wait.error))
                return False
            secret = found[0]
        self.asked_host = request.authority or request.host_header or ""
        self.is_websocket = forwarding.is_websocket(request)
        forwarding.readdress(request, self.resource.upstream, secret, self.asked_host if self.agent.fixed else "")
        self.ask_for_whole()
        if self.is_abandoned():
            return False
        self.server_state = self.state_wait_for_response_headers
        return (yield from self.make_server_connection())

    def state_wait_for_response_headers(self, event: ResponseHeaders) -> Any:
        if event.response.status_code == UNAUTHORIZED:
            self.agent.shared.secret_refused(self.resource)
        yield from super().state_wait_for_response_headers(event)

    def aim(self, resource: Resource) -> None:
        """Let the connection that will be opened be the resource's."""
        upstream = resource.upstream
        self.agent.upstreams[upstream.host, upstream.port] = resource
        if not self.context.server.connected:
            self.context.server.address = (upstream.host, upstream.port)
            self.context.server.tls = upstream.tls != "off"
            self.context.server.sni = upstream.host

    def _end_request(self) -> Commands:
        if self.flow.request.trailers:
            yield SendHttp(RequestTrailers(self.stream_id, self.flow.request.trailers), self.context.server)
        yield SendHttp(RequestEndOfMessage(self.stream_id), self.context.server)
        if self.server_state == self.state_done:
            yield from self.flow_done()

    def handle_protocol_error(self, event: RequestProtocolError | ResponseProtocolError) -> Commands:
        """The agent or the upstream broke off."""
        if isinstance(event, RequestProtocolError):
            yield from self.lose_agent(event)
        else:
            yield from self.lose_upstream(event)


def _as_unseen(ruling: Ruling) -> Ruling:
    """A refusal as it is; one that people could have allowed, with why they are not asked."""
    return ruling if ruling.approval is None else ruling.refused_for(TOO_LONG)


def _denial(reason: str, operation: str = "", *objects: str) -> Ruling:
    """A refusal that is not policy's but the proxy's own."""
    return Ruling(Verdict.DENY.value, operation, list(objects), "", reason, {}, is_write=True)
