"""The answer's half of the gate: held answers and streamed answers. Other endings are in endings.py."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any, Final

from mitmproxy import http
from mitmproxy.connection import Connection
from mitmproxy.net.http.http1 import expected_http_body_size
from mitmproxy.net.http.validate import validate_headers
from mitmproxy.proxy import commands, events
from mitmproxy.proxy.context import Context
from mitmproxy.websocket import WebSocketData

from ingest.http import heads
from ingest.http.connection import AgentConnection
from ingest.http.engine import (
    DropStream,
    ErrorCode,
    RequestData,
    RequestEndOfMessage,
    RequestHeaders,
    RequestProtocolError,
    RequestTrailers,
    ResponseData,
    ResponseEndOfMessage,
    ResponseHeaders,
    ResponseProtocolError,
    ResponseTrailers,
    SendHttp,
)
from ingest.http.exchange import PROGRESS_BYTES, Tally
from ingest.http.holding import HoldingStream
from ingest.http.http2 import ConsumedData
from ingest.http.masked import fit_fields
from ingest.http.websocket import CapturedWebsocket
from masking.inline.model import Unreadable
from schemas.errors import AuditUnavailable
from schemas.events import EventKind

HELD_BYTES: Final = 65_536
"""Bodies of known length up to this are held whole, so that head and body are one record."""

FLUSH_S: Final = 0.25
"""A stream's bytes have a record of their progress after this time at the latest."""

_REQUEST_EVENTS: Final = (RequestHeaders, RequestData, RequestTrailers, RequestEndOfMessage)


class AnswerStream(HoldingStream):
    """What CapturedStream does once the request is on its way."""

    def __init__(self, context: Context, stream_id: int, agent: AgentConnection) -> None:
        super().__init__(context, stream_id, agent)
        self.answer: Tally
        self.asked_host = ""
        self.is_websocket = False
        self._answer_size: int | None = 0
        self._held_piece = b""
        self._boundary = b""
        self._is_wakeup_due = False
        self._is_head_held = False

    def _handle_event(self, event: events.Event) -> Any:
        if isinstance(event, _REQUEST_EVENTS):
            yield from self.client_state(event)
            if self.context.client.alpn == b"h2" and isinstance(event, RequestData):
                yield SendHttp(ConsumedData(self.stream_id, len(event.data)), self.context.client)
        elif isinstance(event, (RequestProtocolError, ResponseProtocolError)):
            yield from self.handle_protocol_error(event)
        elif isinstance(event, events.Start):
            self.client_state = self.state_wait_for_request_headers
        elif isinstance(event, events.Wakeup):
            yield from self._flush()
        else:
            yield from self.server_state(event)
            if self.context.server.alpn == b"h2" and isinstance(event, ResponseData):
                yield SendHttp(ConsumedData(self.stream_id, len(event.data)), self.context.server)

    # -- pace

    def keep_pace(self, kind: EventKind, tally: Tally, fields: heads.Fields, size: int, source: Connection) -> Any:
        """Record progress, and wait when the stream would run too far past its durable record. False: cannot."""
        session = self.exchange.session
        try:
            if tally.total - tally.recorded >= PROGRESS_BYTES:
                self.exchange.progress(kind, tally, fields)
            tally.settle(session)
            limit = self.agent.shared.max_unrecorded_bytes
            while tally.total - tally.durable > limit:
                if not tally.oldest_ticket:
                    if tally.total == tally.recorded:
                        break
                    self.exchange.progress(kind, tally, fields)
                if not (yield from self.wait_for(tally.oldest_ticket, source)):
                    return False
                tally.settle(session)
        except AuditUnavailable:
            return False
        return True

    def ease(self, sink: Connection, source: Connection) -> Any:
        """Wait while a slow HTTP/2 peer leaves too much in our send buffer."""
        layer = self.parent.http2.get(sink)
        if layer is not None and layer.is_backed_up(self.stream_id):
            yield from self.await_run(lambda: layer.wait_drained(self.stream_id), source)

    # -- the upstream's answer

    def state_wait_for_response_headers(self, event: ResponseHeaders) -> Any:
        """Informational answers pass at once; of the final one the size decides whether it is held or streamed."""
        response = event.response
        if 100 <= response.status_code < 200 and response.status_code != 101:
            if response.status_code != 100 and self.flow.request.http_version != "HTTP/1.0":
                if self.masked is not None:
                    response.headers = http.Headers(self.masked.fields(response.headers.fields))
                yield SendHttp(ResponseHeaders(self.stream_id, response), self.context.client)
            return
        self.flow.response = self.response = response
        if not self._is_acceptable(response):
            yield commands.CloseConnection(self.context.server)
            yield from self.lose_upstream(_upstream_fault(self.stream_id, "the upstream's answer is malformed"))
            return
        size = 0 if event.end_stream else expected_http_body_size(self.flow.request, response)
        if not (yield from self.mask_head(response, has_body=size != 0)):
            return
        self.answer_fields = response.headers.fields
        self._restore_location(response)
        self._answer_size = size if size is not None and size >= 0 else None
        if self._answer_size is not None and self._answer_size <= HELD_BYTES:
            self.server_state = self.state_consume_response_body
            return
        yield from self._begin_answer(response)

    def _is_acceptable(self, response: http.Response) -> bool:
        try:
            validate_headers(response)
        except ValueError:
            return False
        return response.status_code != 101 or self.is_websocket

    def _restore_location(self, response: http.Response) -> None:
        """A redirect to the upstream's own address would lead the agent around its listener."""
        if not (self.agent.fixed and self.asked_host):
            return
        upstream = self.agent.shared.resources.get(self.agent.fixed)
        for name in ("location", "content-location"):
            value = response.headers.get(name)
            if value is None or upstream is None or "://" not in value:
                continue
            scheme, _, rest = value.partition("://")
            place, slash, path = rest.partition("/")
            target = heads.split_authority(place, 443 if scheme == "https" else 80)
            if target == (upstream.upstream.host.lower(), upstream.upstream.port):
                own = "https" if self.context.client.tls else "http"
                response.headers[name] = f"{own}://{self.asked_host}{slash}{path}"

    def state_consume_response_body(self, event: events.Event) -> Any:
        """Collect a small answer; at its end record it, and release it whole when that is durable."""
        if isinstance(event, ResponseData):
            self.response_body_buf += event.data
        elif isinstance(event, ResponseTrailers):
            self.response.trailers = event.trailers
        elif isinstance(event, ResponseEndOfMessage):
            body = bytes(self.response_body_buf)
            self.response_body_buf.clear()
            yield from self._release_held(body)

    def _release_held(self, body: bytes) -> Any:
        response, exchange = self.response, self.exchange
        if response.status_code == 101:
            yield from self._switch_to_websocket()
            return
        try:
            sent = self.mask_held(body)
        except Unreadable as fault:
            yield from self.withhold(str(fault), body, is_over=True)
            return
        trailers = response.trailers.fields if response.trailers else ()
        if not (yield from self._record_outcome(body, trailers)):
            yield from self.refuse_outcome()
            return
        is_empty = not (sent or trailers)
        self.is_answer_begun = True
        yield SendHttp(ResponseHeaders(self.stream_id, response, is_empty), self.context.client)
        if sent:
            yield SendHttp(ResponseData(self.stream_id, sent), self.context.client)
            exchange.session.ledger.to_agent += len(sent)
        yield from self._finish_answer()

    def _record_outcome(self, body: bytes | None, trailers: Sequence[heads.Field] = ()) -> Any:
        """Record the outcome and wait as the resource says. False when it cannot be made durable."""
        response, exchange = self.response, self.exchange
        try:
            ticket = exchange.completed(
                response.status_code, self.answer_fields, body, trailers=trailers, shown=self.shown
            )
        except AuditUnavailable:
            return False
        self.agent.exchanges.discard(exchange)
        is_complete = exchange.session.resource.record == "complete"
        return (yield from self.wait_for(ticket if is_complete else exchange.request_ticket))

    def _begin_answer(self, response: http.Response) -> Any:
        exchange = self.exchange
        exchange.answer = self.answer = Tally(
            exchange.session, is_masked=self.masked is not None, limit=exchange.answer_limit
        )
        self.server_state = self.state_stream_response_body
        if not (yield from self.wait_for(exchange.request_ticket, self.context.server)):
            yield from self.refuse_outcome()
            return
        kind = response.headers.get("content-type", "").encode("utf-8", "surrogateescape")
        if self.masked is not None:
            self._answer_size = None
            response.headers = http.Headers(fit_fields(response.headers.fields, None))
            self.answer_fields = response.headers.fields
        is_coded = "content-encoding" in response.headers and self.masked is None
        if self._answer_size is None and not is_coded and heads.payload_type(kind) != "binary":
            self._boundary = b"\n\n" if kind.startswith(b"text/event-stream") else b"\n"
        request = self.flow.request
        if self._answer_size is None and not response.is_http2 and "transfer-encoding" not in response.headers:
            # Ended by closing: give the agent an end mark that cannot be mistaken.
            if request.http_version == "HTTP/1.1":
                response.headers["transfer-encoding"] = "chunked"
        elif self._answer_size is None and response.is_http2 and request.http_version == "HTTP/1.1":
            response.headers["transfer-encoding"] = "chunked"
        self._is_head_held = True
        if self.masked is None or self.masked.body.is_decided:
            yield from self._release_head()

    def _release_head(self) -> Any:
        """A masked answer's head is held until it is known what its body is."""
        if self._is_head_held:
            self._is_head_held = False
            self.is_answer_begun = True
            yield SendHttp(ResponseHeaders(self.stream_id, self.response, end_stream=False), self.context.client)

    def state_stream_response_body(self, event: events.Event) -> Any:
        """Pieces pass as they come; the end mark, or the last piece of a known length, waits for the outcome."""
        if isinstance(event, ResponseData):
            yield from (self._pass_answer if self.masked is None else self._pass_masked)(event.data)
        elif isinstance(event, ResponseTrailers):
            self.response.trailers = event.trailers
        elif isinstance(event, ResponseEndOfMessage):
            response = self.response
            if not (yield from self._finish_masked()):
                return
            trailers = response.trailers.fields if response.trailers else ()
            if not (yield from self._record_outcome(None, trailers)):
                yield from self.refuse_outcome()
                return
            yield from self._release_head()
            if self._held_piece:
                yield SendHttp(ResponseData(self.stream_id, self._held_piece), self.context.client)
                self.exchange.session.ledger.to_agent += len(self._held_piece)
            yield from self._finish_answer()

    def _pass_answer(self, data: bytes) -> Any:
        exchange = self.exchange
        tally, ledger = self.answer, exchange.session.ledger
        tally.add(data)
        ledger.from_upstream += len(data)
        if self._answer_size is not None and tally.total >= self._answer_size:
            self._held_piece = data
            return
        if not (
            yield from self.keep_pace(
                EventKind.DATA_RECEIVED, tally, self.answer_fields, len(data), self.context.server
            )
        ):
            yield from self.break_off("audit_unavailable")
            return
        yield SendHttp(ResponseData(self.stream_id, data), self.context.client)
        ledger.to_agent += len(data)
        if not self._is_wakeup_due and tally.total > tally.recorded and self._answer_size is None:
            self._is_wakeup_due = True
            yield commands.RequestWakeup(FLUSH_S)
        yield from self.ease(self.context.client, self.context.server)

    def _pass_masked(self, data: bytes) -> Any:
        """As _pass_answer; what may be the beginning of a secret is held back."""
        masked, tally = self.exchange.masked, self.answer
        if masked is None:
            return
        tally.add(data)
        self.exchange.session.ledger.from_upstream += len(data)
        try:
            for number, (sent, content) in enumerate(masked.body.feed(data)):
                if number:  # much came out of little: let others have a turn
                    yield from self.await_run(lambda: asyncio.sleep(0), self.context.server)
                if not (yield from self._send_masked(sent, content)):
                    return
        except Unreadable as fault:
            yield from self.withhold(str(fault), None, is_over=False)
            return
        if not self._is_wakeup_due:
            self._is_wakeup_due = True
            yield commands.RequestWakeup(FLUSH_S)
        yield from self.ease(self.context.client, self.context.server)

    def _send_masked(self, sent: bytes, content: bytes) -> Any:
        """A piece of a masked body. False when the stream was broken off."""
        self.answer.keep(content)
        paced = self.keep_pace(EventKind.DATA_RECEIVED, self.answer, self.answer_fields, len(sent), self.context.server)
        if not (yield from paced):
            yield from self.refuse_outcome()
            return False
        yield from self._release_head()
        if sent:
            yield SendHttp(ResponseData(self.stream_id, sent), self.context.client)
            self.exchange.session.ledger.to_agent += len(sent)
        return True

    def _finish_masked(self) -> Any:
        """The rest of a masked body. False when it cannot be shown."""
        if self.masked is None:
            return True
        try:
            self._held_piece, content = self.masked.body.finish()
        except Unreadable as fault:
            yield from self.withhold(str(fault), None, is_over=True)
            return False
        self.answer.keep(content)
        self.mask_trailers(is_changed=True)
        return True

    def _flush(self) -> Any:
        """Nothing came for a while: show what need not be held back, and record how far the stream is."""
        self._is_wakeup_due = False
        if self.masked is not None and self.server_state == self.state_stream_response_body:
            try:
                sent, content = self.masked.body.flush()
            except Unreadable as fault:
                yield from self.withhold(str(fault), None, is_over=False)
                return
            if (sent or self.masked.body.is_decided) and not (yield from self._send_masked(sent, content)):
                return
            if self.masked.body.is_holding:
                self._is_wakeup_due = True
                yield commands.RequestWakeup(FLUSH_S)
        self._flush_progress()

    def _flush_progress(self) -> None:
        exchange = self.known_exchange
        if exchange is None or exchange.is_done or exchange.answer is None:
            return
        if exchange.answer.total > exchange.answer.recorded:
            try:
                exchange.progress(EventKind.DATA_RECEIVED, exchange.answer, self.answer_fields, self._boundary)
            except AuditUnavailable:
                return  # the next piece that would run too far stops the stream

    def _finish_answer(self) -> Any:
        self.response.timestamp_end = time.time()
        if self.response.trailers:
            yield SendHttp(ResponseTrailers(self.stream_id, self.response.trailers), self.context.client)
        self.server_state = self.state_done
        if self.client_state == self.state_done:
            yield from self.flow_done()
            return
        # An answer before the request's end (413, say): the rest of the upload is of no use to anybody.
        self.client_state = self.state_discard
        yield SendHttp(RequestProtocolError(self.stream_id, "answered early", ErrorCode.CANCEL), self.context.server)
        yield SendHttp(ResponseEndOfMessage(self.stream_id), self.context.client)

    def flow_done(self) -> Any:
        """Both halves are over."""
        self.flow.live = False
        yield DropStream(self.stream_id)
        yield SendHttp(ResponseEndOfMessage(self.stream_id), self.context.client)

    def _switch_to_websocket(self) -> Any:
        response, exchange = self.response, self.exchange
        if not (yield from self.wait_for(exchange.request_ticket)):
            yield from self.refuse_outcome()
            return
        self.is_answer_begun = True
        yield SendHttp(ResponseHeaders(self.stream_id, response, end_stream=True), self.context.client)
        self.server_state = self.state_done
        self.flow.websocket = WebSocketData()
        self.child_layer = CapturedWebsocket(self.context, self.flow, exchange, self.agent)
        self._handle_event = self.passthrough  # type: ignore[method-assign]
        yield from self.child_layer.handle_event(events.Start())
        yield SendHttp(ResponseEndOfMessage(self.stream_id), self.context.client)


def _upstream_fault(stream_id: int, message: str) -> ResponseProtocolError:
    return ResponseProtocolError(stream_id, message, ErrorCode.RESPONSE_VALIDATION_FAILED)
