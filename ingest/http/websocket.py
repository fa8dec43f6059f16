"""WebSocket: every message is a record of its own and waits for that only; an abort stays an abort."""

import codecs
from collections.abc import Generator
from typing import Any, Final

import wsproto.events
import wsproto.utilities
from mitmproxy import http
from mitmproxy.proxy import commands, events
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.websocket import WebsocketConnection, WebsocketLayer
from wsproto.connection import ConnectionState

from ingest.http.connection import AbortHook, AgentConnection, AwaitHook
from ingest.http.exchange import Exchange
from masking.cuts import end_of_whole
from masking.inline.model import Unreadable
from schemas.errors import AuditUnavailable

PART_BYTES: Final = 262_144
"""A longer message is recorded and forwarded in parts of this size, each up to where a value may end."""

BREAKS: Final = {
    "answer_withheld": "a message cannot be masked as policy demands",
    "agent_disconnected": "the agent broke off",
    "audit_unavailable": "the audit log does not answer",
    "bad_request": "a WebSocket protocol error",
    "upstream_closed": "the upstream broke off",
}
"""Why a conversation is broken off: the reason with which its session closes, and the error of its action."""

Commands = Generator[commands.Command, Any]


class _Half:
    """One direction: the message under way."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self.decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self.start()

    def start(self) -> None:
        self.buffer = bytearray()
        self.total = 0
        self.digest = self._exchange.session.new_digest()


class CapturedWebsocket(WebsocketLayer):
    """Relays messages once they are on record. The exchange is completed when the conversation ends."""

    def __init__(self, context: Context, flow: http.HTTPFlow, exchange: Exchange, agent: AgentConnection) -> None:
        super().__init__(context, flow)
        self._exchange = exchange
        self._agent = agent
        self._close_code = 0
        self._halves = {True: _Half(exchange), False: _Half(exchange)}

    def relay_messages(self, event: events.Event) -> Commands:
        """One piece of one side's bytes."""
        if not isinstance(event, (events.DataReceived, events.ConnectionClosed)):
            return
        is_from_agent = event.connection == self.context.client
        source, sink = (self.client_ws, self.server_ws) if is_from_agent else (self.server_ws, self.client_ws)
        if isinstance(event, events.ConnectionClosed):
            yield from self._lose(is_from_agent)
            return
        try:
            source.receive_data(event.data)
            ready = [
                (ticket, frame) for found in source.events() for ticket, frame in self._record(found, is_from_agent)
            ]
        except (wsproto.utilities.RemoteProtocolError, wsproto.utilities.LocalProtocolError):
            yield from self._break("bad_request")
            return
        except AuditUnavailable:
            yield from self._break("audit_unavailable")
            return
        except Unreadable:
            yield from self._break("answer_withheld")
            return
        for ticket, frame in ready:
            if isinstance(frame, wsproto.events.CloseConnection):
                yield from self._close(frame, source, sink)
                return
            if ticket and not (yield from self._wait(ticket)):
                yield from self._break("audit_unavailable")
                return
            if sink.state is ConnectionState.OPEN:
                yield sink.send2(frame)

    def _record(self, found: wsproto.events.Event, is_from_agent: bool) -> Generator[tuple[int, wsproto.events.Event]]:
        """What to send on, each with the ticket it waits for (0: none)."""
        if not isinstance(found, wsproto.events.Message):
            yield 0, found
            return
        half = self._halves[is_from_agent]
        is_text = isinstance(found.data, str)
        data = found.data.encode() if isinstance(found.data, str) else bytes(found.data)
        half.buffer += data
        half.total += len(data)
        half.digest.update(data)
        if not found.message_finished and len(half.buffer) < PART_BYTES:
            return
        end = len(half.buffer) if found.message_finished else end_of_whole(half.buffer)
        content = bytes(half.buffer[:end])
        del half.buffer[:end]
        shown = self._mask(content, is_text, found.message_finished) if not is_from_agent else None
        ticket = self._exchange.message(
            is_from_agent=is_from_agent,
            is_text=is_text,
            content=content,
            is_final=found.message_finished,
            digest=half.digest.digest() if found.message_finished else b"",
            total=half.total if found.message_finished else len(content),
            shown=shown,
        )
        content = content if shown is None else shown
        if found.message_finished:
            half.start()
        if is_text:
            text = half.decoder.decode(content, found.message_finished)
            yield ticket, wsproto.events.TextMessage(text, message_finished=found.message_finished)
        else:
            yield ticket, wsproto.events.BytesMessage(content, message_finished=found.message_finished)

    def _mask(self, content: bytes, is_text: bool, is_final: bool) -> bytes | None:
        """What the agent gets of a message, or of its next part; None: nothing is masked here. Raises Unreadable."""
        masked = self._exchange.masked
        return masked.take_message(content, is_text=is_text, is_final=is_final) if masked is not None else None

    def _wait(self, ticket: int) -> Generator[commands.Command, Any, bool]:
        session = self._exchange.session
        if session.is_released(ticket):
            return True
        wait = AwaitHook(lambda: session.wait(ticket))
        yield wait
        return wait.error is None

    def _close(
        self, frame: wsproto.events.CloseConnection, source: WebsocketConnection, sink: WebsocketConnection
    ) -> Commands:
        """A clean close passes on; the peer's reply to it comes back the same way."""
        is_reply = source.state is ConnectionState.CLOSED
        self._close_code = self._close_code or int(frame.code)
        if not is_reply:
            self._agent.close_reason = "agent_closed" if source is self.client_ws else "upstream_closed"
            if sink.state is ConnectionState.OPEN:
                yield sink.send2(wsproto.events.CloseConnection(frame.code, frame.reason))
            return
        if not (yield from self._finish(self._close_code, "")):
            yield from self._break("audit_unavailable")
            return
        if sink.state is ConnectionState.REMOTE_CLOSING:
            yield sink.send2(wsproto.events.CloseConnection(frame.code, frame.reason))
        yield from self._end()

    def _lose(self, is_from_agent: bool) -> Commands:
        """A side went away without a close frame: so does the other."""
        yield from self._break("agent_disconnected" if is_from_agent else "upstream_closed")

    def _break(self, cause: str) -> Commands:
        self._agent.close_reason = cause
        yield from self._finish(1006, BREAKS[cause])
        for ws in (self.server_ws, self.client_ws):
            yield AbortHook(ws.conn)
        yield from self._end()

    def _finish(self, code: int, reason: str) -> Generator[commands.Command, Any, bool]:
        exchange = self._exchange
        self._agent.exchanges.discard(exchange)
        try:
            response = self.flow.response
            fields = response.headers.fields if response else ()
            ticket = exchange.completed(101, (*fields, (b"websocket.close_code", b"%d" % code)), error=reason)
        except AuditUnavailable:
            exchange.is_done = True
            return False
        return (yield from self._wait(ticket))

    def _end(self) -> Commands:
        self._handle_event = self.done
        self.flow.live = False
        for ws in (self.server_ws, self.client_ws):
            yield commands.CloseConnection(ws.conn)

    def done(self, event: events.Event) -> Commands:
        """Nothing comes after the end."""
        yield from ()
