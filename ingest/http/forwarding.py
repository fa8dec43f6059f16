"""A request on its way upstream: what it is called on record, and its head as the upstream gets it."""

from mitmproxy import http

from ingest.http import heads
from schemas.resources import Upstream


def statement_of(request: http.Request, upstream: Upstream | None) -> str:
    """`METHOD scheme://host/path?query`, by the upstream's own name; None: of nobody that is registered."""
    if upstream is None:
        scheme, place = request.scheme or "https", f"{request.host}:{request.port}"
    else:
        scheme = "http" if upstream.tls == "off" else "https"
        place = heads.authority(upstream.host, upstream.port, scheme == "https")
    return f"{request.method} {scheme}://{place}{request.path}"


def body_size(request: http.Request, is_over: bool) -> int | None:
    """Bytes of the body; None when only its end will tell. Validation has looked at the header before."""
    if is_over:
        return 0
    length = request.headers.get("content-length")
    if length is not None and "transfer-encoding" not in request.headers:
        return int(length)
    return None


def is_websocket(request: http.Request) -> bool:
    """Whether the agent asks for a WebSocket."""
    return request.headers.get("upgrade", "").lower() == "websocket" and not request.is_http2


def readdress(request: http.Request, upstream: Upstream, secret: str, asked_host: str) -> None:
    """Put the upstream's own address and secret on a request. `asked_host`, if any, is told as X-Forwarded-Host."""
    is_tls = upstream.tls != "off"
    fields = heads.forwarded(request.headers.fields)
    if secret:
        value = f"{upstream.scheme} {secret}" if upstream.scheme else secret
        fields = heads.replaced(fields, upstream.header.encode(), value.encode())
    if asked_host and heads.first_value(fields, b"x-forwarded-host") is None:
        fields += ((b"X-Forwarded-Host", asked_host.encode("utf-8", "surrogateescape")),)
    dropped = {b"expect"} if is_websocket(request) else {b"expect", b"upgrade", b"http2-settings"}
    name = heads.authority(upstream.host, upstream.port, is_tls)
    if request.is_http2:
        request.authority = name
        dropped.add(b"host")
    else:
        request.authority = ""
        fields = heads.replaced(fields, b"Host", name.encode())
    request.headers = http.Headers(heads.without(fields, frozenset(dropped)))
    request.data.host, request.data.port = upstream.host, upstream.port
    request.scheme = "https" if is_tls else "http"
