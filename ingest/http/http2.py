"""mitmproxy's HTTP/2 connections, mended: flow control that holds a peer back, informational answers."""

import asyncio
from collections import defaultdict
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, Final

import h2.events
import h2.exceptions
import h2.settings
from mitmproxy import http
from mitmproxy.connection import Connection
from mitmproxy.proxy import commands, events
from mitmproxy.proxy.context import Context

from ingest.http.connection import AgentConnection
from ingest.http.engine import (
    BufferedH2Connection,
    Http2Client,
    Http2Server,
    HttpEvent,
    ReceiveHttp,
    ResponseHeaders,
)

STREAM_WINDOW: Final = 1 << 20
"""Bytes a peer may send on one stream before they were taken."""

BACKLOG_BYTES: Final = 1 << 18
"""What may wait in our send buffer for one slow peer's stream."""

MAX_STREAMS: Final = 100
Commands = Generator[commands.Command, Any]


@dataclass
class ConsumedData(HttpEvent):
    """A stream has taken this many bytes: its peer may send as many more."""

    size: int


class FlowControlled(BufferedH2Connection):
    """An h2 connection whose streams are granted more only when their bytes were taken."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.local_settings.initial_window_size = STREAM_WINDOW
        self.local_settings[h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS] = MAX_STREAMS
        self.local_settings.acknowledge()
        self._owed = 0
        self._consumed: defaultdict[int, int] = defaultdict(int)
        self.drained = asyncio.Event()

    def acknowledge_received_data(self, acknowledged_size: int, stream_id: int) -> None:
        """The connection's window at once: only streams are held back."""
        self._owed += acknowledged_size
        if self._owed >= STREAM_WINDOW:
            self.increment_flow_control_window(self._owed)
            self._owed = 0

    def consume(self, stream_id: int, size: int) -> None:
        """Grant a stream what was taken of it, in steps."""
        self._consumed[stream_id] += size
        if self._consumed[stream_id] >= STREAM_WINDOW // 4:
            grant = self._consumed.pop(stream_id)
            try:
                self.increment_flow_control_window(grant, stream_id)
            except (h2.exceptions.ProtocolError, KeyError):
                return  # the stream is over

    def forget(self, stream_id: int) -> None:
        """The stream is over."""
        self._consumed.pop(stream_id, None)

    def backlog(self, stream_id: int) -> int:
        """Bytes that wait for the peer's window."""
        buffers = self.stream_buffers.get(stream_id)
        return sum(len(item.data) for item in buffers) if buffers else 0

    def receive_data(self, data: bytes) -> Any:
        """Whatever comes may have opened a window or ended a stream."""
        result = super().receive_data(data)
        self.drained.set()
        return result


class _Mended:
    h2_conn: Any
    conn: Connection

    def _prepare(self) -> None:
        self.h2_conn = FlowControlled(self.h2_conn.config)

    def is_backed_up(self, stream_id: int) -> bool:
        """Whether too much of a stream waits for a slow peer."""
        return bool(self.h2_conn.backlog(stream_id) > BACKLOG_BYTES)

    async def wait_drained(self, stream_id: int) -> None:
        """Until the peer has taken some, or is gone."""
        while self.is_backed_up(stream_id):
            self.h2_conn.drained.clear()
            await self.h2_conn.drained.wait()

    def _handle_event(self, event: events.Event) -> Commands:
        if isinstance(event, ConsumedData):
            self.h2_conn.consume(event.stream_id, event.size)
            data = self.h2_conn.data_to_send()
            if data:
                yield commands.SendData(self.conn, data)
            return
        yield from super()._handle_event(event)  # type: ignore[misc]

    def handle_h2_event(self, event: Any) -> Generator[commands.Command, Any, bool]:
        """Padding is taken at once; an ended stream needs no window."""
        if isinstance(event, h2.events.DataReceived):
            padding = (event.flow_controlled_length or 0) - len(event.data or b"")
            if padding:
                self.h2_conn.consume(event.stream_id, padding)
        elif isinstance(event, (h2.events.StreamEnded, h2.events.StreamReset)):
            self.h2_conn.forget(event.stream_id)
        is_over: bool = yield from super().handle_h2_event(event)  # type: ignore[misc]
        return is_over

    def close_connection(self, msg: str) -> Commands:
        """Nobody waits for a connection that is gone."""
        self.h2_conn.stream_buffers.clear()
        self.h2_conn.drained.set()
        yield from super().close_connection(msg)  # type: ignore[misc]


class MendedHttp2Server(_Mended, Http2Server):
    """The agent's side."""

    def __init__(self, context: Context, agent: AgentConnection) -> None:
        super().__init__(context)
        self._agent = agent
        self._prepare()

    def protocol_error(self, message: str, error_code: int = 1) -> Commands:
        """Bad frames are recorded."""
        agent = self._agent
        known = agent.shared.resources.get(agent.fixed or (agent.tunnel[0] if agent.tunnel else ""))
        agent.refuse("bad_request", known or agent.shared.unregistered, detail="HTTP/2 protocol error")
        agent.close_reason = "bad_request"
        yield from super().protocol_error(message, error_code)


class MendedHttp2Client(_Mended, Http2Client):
    """The upstream's side."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._prepare()
        self.h2_conn.local_settings.enable_push = 0
        self.h2_conn.local_settings.acknowledge()

    def is_backed_up(self, stream_id: int) -> bool:
        """By the agent's stream id."""
        return super().is_backed_up(self.our_stream_id.get(stream_id, 0))

    def _handle_event(self, event: events.Event) -> Commands:
        if isinstance(event, ConsumedData) and event.stream_id not in self.our_stream_id:
            return
        yield from Http2Client._handle_event(self, event)

    def _handle_event2(self, event: events.Event) -> Commands:
        if isinstance(event, ConsumedData):
            yield from _Mended._handle_event(self, event)
            return
        yield from super()._handle_event2(event)

    def handle_h2_event(self, event: Any) -> Generator[commands.Command, Any, bool]:
        """Informational answers pass."""
        if isinstance(event, h2.events.InformationalResponseReceived):
            fields = [(name, value) for name, value in event.headers if not name.startswith(b":")]
            status = int(dict(event.headers)[b":status"])
            response = http.Response(b"HTTP/2.0", status, b"", http.Headers(fields), None, None, 0, 0)
            yield ReceiveHttp(ResponseHeaders(event.stream_id, response))
            return False
        return (yield from super().handle_h2_event(event))
