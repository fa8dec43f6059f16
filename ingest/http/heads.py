"""Pure functions over HTTP heads: credentials, what is forwarded, what is recorded."""

import binascii
import zlib
from base64 import b64decode
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import brotli
import zstandard

from ingest.claims import MAX_LINKS, cut_claim

Field = tuple[bytes, bytes]
Fields = tuple[Field, ...]

SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
"""Everything else is a write: durable before it is forwarded."""

CUSTODY_PREFIX: Final = b"x-custody-"
"""Headers with which an agent tells Custody about itself; never forwarded."""

HOP_BY_HOP: Final = frozenset({b"proxy-connection", b"proxy-authorization", b"proxy-authenticate"})
TRACE_HEADERS: Final = {b"traceparent": "traceparent", b"tracestate": "tracestate", b"baggage": "baggage"}
LISTS: Final = frozenset(("tracestate", "baggage"))
"""May stand in several headers, which count as one with commas between (W3C Trace Context 3.3.1, Baggage 3.3.1)."""
MAX_CREDENTIAL_BYTES: Final = 512


@dataclass(frozen=True, slots=True)
class Claim:
    """The credential that a request shows, not yet checked. Its repr has no secret."""

    credential_id: str
    secret: str

    def __repr__(self) -> str:
        return f"Claim({self.credential_id!r})"


def read_claim(value: bytes) -> Claim | None:
    """`Bearer id.secret` or `Basic base64(id:secret)`; None when it is neither."""
    scheme, _, rest = value.strip().partition(b" ")
    rest = rest.strip()
    if not rest or len(rest) > MAX_CREDENTIAL_BYTES:
        return None
    separator = b"."
    if scheme.lower() == b"basic":
        separator = b":"
        try:
            rest = b64decode(rest, validate=True)
        except (binascii.Error, ValueError):
            return None
    elif scheme.lower() != b"bearer":
        return None
    credential_id, found, secret = rest.partition(separator)
    if not found or not credential_id or not secret:
        return None
    return Claim(credential_id.decode("latin-1"), secret.decode("latin-1"))


def first_value(fields: Iterable[Field], name: bytes) -> bytes | None:
    """The first header of this (lower-case) name."""
    for key, value in fields:
        if key.lower() == name:
            return value
    return None


def without(fields: Fields, names: frozenset[bytes]) -> Fields:
    """The headers but those of these (lower-case) names."""
    return tuple(field for field in fields if field[0].lower() not in names)


def carries(fields: Fields, secret: bytes) -> bool:
    """Whether a header's value holds the secret."""
    return any(secret in value for _, value in fields)


def forwarded(fields: Fields) -> Fields:
    """What of the agent's headers may go upstream at all."""
    return tuple(
        field
        for field in fields
        if (name := field[0].lower()) not in HOP_BY_HOP and not name.startswith(CUSTODY_PREFIX)
    )


def replaced(fields: Fields, name: bytes, value: bytes) -> Fields:
    """The headers with this one, in the place of the first of its name, or at the end."""
    lower = name.lower()
    found = False
    result: list[Field] = []
    for field in fields:
        if field[0].lower() != lower:
            result.append(field)
        elif not found:
            found = True
            result.append((field[0], value))
    if not found:
        result.append((name, value))
    return tuple(result)


def as_attributes(fields: Fields) -> dict[str, str]:
    """Headers as `header.<lower-case name>` attributes; the values of one name joined by a line feed."""
    attributes: dict[str, str] = {}
    for name, value in fields:
        key = "header." + name.decode("latin-1").lower()
        text = _text(value)
        attributes[key] = f"{attributes[key]}\n{text}" if key in attributes else text
    return attributes


def read_links(fields: Fields) -> dict[str, str]:
    """Claims about the plan and trace that the action belongs to: W3C trace headers and X-Custody-*."""
    links: dict[str, str] = {}
    for name, value in fields:
        lower = name.lower()
        key = TRACE_HEADERS.get(lower)
        if key is None and lower.startswith(CUSTODY_PREFIX):
            key = lower[len(CUSTODY_PREFIX) :].decode("latin-1").replace("-", "_")
        if key and len(links) < MAX_LINKS:
            text = _text(value)
            links[key] = cut_claim(f"{links[key]},{text}" if key in LISTS and key in links else text)
    return links


def join_links(fields: Fields, claims: Mapping[str, str]) -> dict[str, str]:
    """The claims of a head, and those of its content that it does not make; as many as are kept."""
    links = read_links(fields)
    for key, text in claims.items():
        if len(links) < MAX_LINKS:
            links.setdefault(key, text)
    return links


def payload_type(content_type: bytes) -> str:
    """json, text or binary."""
    kind = content_type.partition(b";")[0].strip().lower()
    if kind.endswith((b"/json", b"+json")):
        return "json"
    is_text = kind.startswith(b"text/") or kind.endswith(
        (b"+xml", b"/xml", b"/javascript", b"/x-ndjson", b"-urlencoded")
    )
    return "text" if is_text else "binary"


def _inflate(data: bytes, limit: int) -> bytes:
    # 32 + 15: gzip or zlib, whichever the first bytes say
    return zlib.decompressobj(47).decompress(data, limit)


def _unzstd(data: bytes, limit: int) -> bytes:
    with zstandard.ZstdDecompressor(max_window_size=1 << 23).stream_reader(data) as reader:
        return reader.read(limit)


def _unbrotli(data: bytes, limit: int) -> bytes:
    return bytes(brotli.Decompressor().process(data, output_buffer_limit=limit))[:limit]


DECODERS: Final[dict[bytes, Callable[[bytes, int], bytes]]] = {
    b"gzip": _inflate,
    b"x-gzip": _inflate,
    b"deflate": _inflate,
    b"zstd": _unzstd,
    b"br": _unbrotli,
}


def decode_content(data: bytes, encoding: bytes, limit: int) -> bytes | None:
    """Content as it reads without its Content-Encoding, at most `limit` bytes; None when that cannot be had.

    `data` may be the beginning only. Bounded whatever it expands to.
    """
    decoder = DECODERS.get(encoding.strip().lower())
    if decoder is None:
        return None
    try:
        return decoder(data, limit)
    except (zlib.error, zstandard.ZstdError, brotli.error):
        return None


def authority(host: str, port: int, is_tls: bool) -> str:
    """host[:port], the port only when it is not the scheme's own; IPv6 in brackets."""
    name = f"[{host}]" if ":" in host else host
    return name if port == (443 if is_tls else 80) else f"{name}:{port}"


def split_authority(text: str, default_port: int) -> tuple[str, int] | None:
    """Host (lower case, no brackets) and port; None when it is malformed."""
    host, port = text, ""
    if text.startswith("["):
        host, _, port = text[1:].partition("]")
        port = port.removeprefix(":")
    elif ":" in text:
        host, _, port = text.rpartition(":")
    if not host or (port and not (port.isascii() and port.isdigit() and int(port) < 65536)):
        return None
    return host.lower(), int(port) if port else default_port


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")
