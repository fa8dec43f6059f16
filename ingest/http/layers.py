"""Which of mitmproxy's layers are replaced by ours, and where."""

from collections.abc import Generator
from typing import Any

from mitmproxy.connection import Connection
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers import http as mitm_http

from ingest.http.connection import AgentConnection
from ingest.http.engine import HttpLayer, HTTPMode, RegisterHttpConnection
from ingest.http.http1 import MendedHttp1Client, MendedHttp1Server
from ingest.http.http2 import MendedHttp2Client, MendedHttp2Server
from ingest.http.stream import CapturedStream

Commands = Generator[commands.Command, Any]


class CapturedHttpLayer(HttpLayer):
    """mitmproxy's HTTP layer with recording streams and mended connections."""

    def __init__(self, context: Context, mode: HTTPMode, agent: AgentConnection) -> None:
        super().__init__(context, mode)
        self.agent = agent
        self.http2: dict[Connection, MendedHttp2Server | MendedHttp2Client] = {}

    def _handle_event(self, event: events.Event) -> Commands:
        if isinstance(event, events.Start):
            client = self.context.client
            if client.alpn == b"h2":
                self.connections[client] = self.http2[client] = MendedHttp2Server(self.context.fork(), self.agent)
            else:
                self.connections[client] = MendedHttp1Server(self.context.fork(), self.agent)
        elif isinstance(event, events.Wakeup) and event.command not in self.command_sources:
            return
        yield from super()._handle_event(event)

    def make_stream(self, stream_id: int) -> Commands:
        """A stream that records."""
        self.streams[stream_id] = CapturedStream(self.context.fork(), stream_id, self.agent)
        yield from self.event_to_child(self.streams[stream_id], events.Start())


class CapturedHttpClient(layer.Layer):
    """Opens the connection to the upstream and puts the mended protocol on it."""

    def _handle_event(self, event: events.Event) -> Commands:
        error: str | None = None
        if not self.context.server.connected:
            error = yield commands.OpenConnection(self.context.server)
        if not error:
            child: layer.Layer
            if self.context.server.alpn == b"h2":
                parent = next(item for item in reversed(self.context.layers) if isinstance(item, CapturedHttpLayer))
                child = parent.http2[self.context.server] = MendedHttp2Client(self.context)
            else:
                child = MendedHttp1Client(self.context)
            self._handle_event = child.handle_event  # type: ignore[method-assign]
            yield from child.handle_event(event)
        yield RegisterHttpConnection(self.context.server, error)


def install() -> None:
    """mitmproxy looks this one up by name when it opens an upstream connection; there is no other seam."""
    mitm_http.HttpClient = CapturedHttpClient  # type: ignore[misc,assignment]
