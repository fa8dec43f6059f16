"""The demo's HTTP upstream: a small real API of customers and orders, with streams and a WebSocket.

Every request needs `Authorization: Bearer <token>`. Customers carry the kind of data that masking is for.
"""

import asyncio
import hmac
import itertools
import logging
import signal
from dataclasses import asdict, dataclass
from typing import Final

from aiohttp import WSMsgType, web
from aiohttp.typedefs import Handler, Middleware

from deploy.embedded.process import LOOPBACK
from deploy.embedded.secrets import DEMO_HTTP_LOGIN
from schemas.config import find_settings
from schemas.runtime import Home, announce_ready, find_home
from schemas.wire.log_filter import set_up_logging

NAME: Final = "demo-http"
MAX_BODY_BYTES: Final = 1 << 20
MAX_ORDERS: Final = 10_000
MAX_STREAM_BYTES: Final = 4 << 30
MAX_STREAM_EVENTS: Final = 10_000
CHUNK: Final = bytes(range(256)) * 256


@dataclass(frozen=True)
class Customer:
    """`card` and `ssn` are published example numbers."""

    id: int
    name: str
    email: str
    card: str
    ssn: str
    balance_cents: int


CUSTOMERS: Final = {
    customer.id: customer
    for customer in (
        Customer(1, "Ada Example", "ada@example.com", "4111 1111 1111 1111", "078-05-1120", 125_000),
        Customer(2, "Bo Example", "bo@example.com", "5500-0055-5555-5559", "219-09-9999", 7_350),
        Customer(3, "Cy Example", "cy@example.com", "378282246310005", "457-55-5462", 980),
    )
}


@dataclass(frozen=True)
class Order:
    """One order of a customer."""

    id: int
    customer_id: int
    item: str
    quantity: int


class Orders:
    """Orders in memory, at most MAX_ORDERS."""

    def __init__(self) -> None:
        self._orders: dict[int, Order] = {}
        self._ids = itertools.count(1)

    def all(self) -> list[Order]:
        return list(self._orders.values())

    def add(self, customer_id: int, item: str, quantity: int) -> Order:
        """Raises OverflowError when there are too many."""
        if len(self._orders) >= MAX_ORDERS:
            raise OverflowError("too many orders")
        order = Order(next(self._ids), customer_id, item, quantity)
        self._orders[order.id] = order
        return order

    def remove(self, order_id: int) -> bool:
        return self._orders.pop(order_id, None) is not None


ORDERS: Final = web.AppKey("orders", Orders)


def make_app(token: str) -> web.Application:
    """The API; `token` is what callers must bear."""
    app = web.Application(middlewares=[_make_guard(token)], client_max_size=MAX_BODY_BYTES)
    app[ORDERS] = Orders()
    app.add_routes(
        [
            web.get("/customers", list_customers),
            web.get("/customers/{id:[0-9]{1,9}}", show_customer),
            web.get("/orders", list_orders),
            web.post("/orders", create_order),
            web.delete("/orders/{id:[0-9]{1,9}}", delete_order),
            web.get("/events", send_events),
            web.get("/stream", send_stream),
            web.post("/upload", count_upload),
            web.get("/ws", echo_messages),
        ]
    )
    return app


def _make_guard(token: str) -> Middleware:
    expected = f"Bearer {token}".encode()

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        given = request.headers.get("Authorization", "").encode("utf-8", "surrogateescape")
        if not hmac.compare_digest(given, expected):
            return web.json_response({"error": "a bearer token is needed"}, status=401)
        return await handler(request)

    return guard


async def list_customers(request: web.Request) -> web.Response:
    """GET /customers"""
    return web.json_response([asdict(customer) for customer in CUSTOMERS.values()])


async def show_customer(request: web.Request) -> web.Response:
    """GET /customers/1"""
    customer = CUSTOMERS.get(int(request.match_info["id"]))
    if customer is None:
        return web.json_response({"error": "no such customer"}, status=404)
    return web.json_response(asdict(customer))


async def list_orders(request: web.Request) -> web.Response:
    """GET /orders"""
    return web.json_response([asdict(order) for order in request.app[ORDERS].all()])


async def create_order(request: web.Request) -> web.Response:
    """POST /orders {"customer_id": 1, "item": "text", "quantity": 2}"""
    try:
        body = await request.json()
        customer_id, item, quantity = int(body["customer_id"]), str(body["item"])[:200], int(body.get("quantity", 1))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return web.json_response({"error": "customer_id, item and quantity are needed"}, status=400)
    if customer_id not in CUSTOMERS:
        return web.json_response({"error": "no such customer"}, status=404)
    try:
        order = request.app[ORDERS].add(customer_id, item, quantity)
    except OverflowError:
        return web.json_response({"error": "too many orders"}, status=507)
    return web.json_response(asdict(order), status=201, headers={"Location": f"/orders/{order.id}"})


async def delete_order(request: web.Request) -> web.Response:
    """DELETE /orders/1"""
    is_removed = request.app[ORDERS].remove(int(request.match_info["id"]))
    return web.Response(status=204 if is_removed else 404)


async def send_events(request: web.Request) -> web.StreamResponse:
    """GET /events?count=5&interval_ms=100: server-sent events, each flushed as it happens."""
    count = _read_number(request, "count", 5, MAX_STREAM_EVENTS)
    interval_s = _read_number(request, "interval_ms", 100, 60_000) / 1000
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
    await response.prepare(request)
    for number in range(1, count + 1):
        await response.write(f'id: {number}\nevent: tick\ndata: {{"number": {number}}}\n\n'.encode())
        await asyncio.sleep(interval_s)
    await response.write_eof()
    return response


async def send_stream(request: web.Request) -> web.StreamResponse:
    """GET /stream?bytes=65536: that many bytes (0..255 repeated), chunked."""
    left = _read_number(request, "bytes", len(CHUNK), MAX_STREAM_BYTES)
    response = web.StreamResponse(headers={"Content-Type": "application/octet-stream"})
    response.enable_chunked_encoding()
    await response.prepare(request)
    while left:
        piece = CHUNK[: min(left, len(CHUNK))]
        await response.write(piece)
        left -= len(piece)
    await response.write_eof()
    return response


async def count_upload(request: web.Request) -> web.Response:
    """POST /upload, any size: answers {"bytes": n}."""
    total = 0
    async for piece in request.content.iter_any():
        total += len(piece)
    return web.json_response({"bytes": total})


async def echo_messages(request: web.Request) -> web.WebSocketResponse:
    """GET /ws: every text or binary message comes back."""
    socket = web.WebSocketResponse(max_msg_size=MAX_BODY_BYTES)
    await socket.prepare(request)
    async for message in socket:
        if message.type is WSMsgType.TEXT:
            await socket.send_str(message.data)
        elif message.type is WSMsgType.BINARY:
            await socket.send_bytes(message.data)
    return socket


def _read_number(request: web.Request, name: str, default: int, limit: int) -> int:
    text = request.query.get(name, str(default))
    if not text.isascii() or not text.isdigit() or len(text) > 12 or int(text) > limit:
        raise web.HTTPBadRequest(text=f"{name} must be a number up to {limit}")
    return int(text)


async def serve(home: Home, port: int) -> None:
    """Serve until SIGTERM or SIGINT; announces the port that was taken."""
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    runner = web.AppRunner(make_app(home.read_secret(DEMO_HTTP_LOGIN)), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, LOOPBACK, port).start()
        announce_ready(home, NAME, {"http": runner.addresses[0][1]})
        await stopping.wait()
    finally:
        await runner.cleanup()


def main() -> None:
    """`python -m deploy.embedded.http_api`, with the home in $CUSTODY_HOME."""
    set_up_logging(logging.WARNING)
    home = Home(find_home())
    asyncio.run(serve(home, find_settings(home).ports.demo_http))


if __name__ == "__main__":
    main()
