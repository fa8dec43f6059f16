"""PostgreSQL messages, protocol 3.0 and 3.2: type bytes, length limits, and the few messages the proxy writes itself.

Source: PostgreSQL documentation, "Message Formats"; length limits as `pqcomm.c` and `fe-protocol3.c` apply them.
"""

from dataclasses import dataclass, field
from struct import Struct
from typing import Final

from librt.strings import read_i32_be

HEADER: Final = Struct("!BI")  # type, length (which counts itself, not the type)
INT32: Final = Struct("!I")

PROTOCOL_3_0: Final = 0x0003_0000
PROTOCOL_3_2: Final = 0x0003_0002
CANCEL_REQUEST: Final = 80877102
SSL_REQUEST: Final = 80877103
GSSENC_REQUEST: Final = 80877104

SMALL: Final = 10_000  # what a server takes for messages without user data
LARGE: Final = 0x3FFF_FFFF  # PostgreSQL's own allocation limit: just under 1 GiB
MEDIUM: Final = 65_536

# agent -> upstream: type -> largest length
AGENT_LENGTHS: Final[dict[int, int]] = {
    **dict.fromkeys(b"QPBFd", LARGE),
    **dict.fromkeys(b"DECSHcfX", SMALL),
}
# upstream -> agent, after start-up. libpq takes long messages of T D d V E N A only, and 30,000 bytes of others.
UPSTREAM_LENGTHS: Final[dict[int, int]] = {
    **dict.fromkeys(b"TDdVENA", LARGE),
    **dict.fromkeys(b"123CISsnctGHWZ", MEDIUM),
}
UPSTREAM_LENGTHS[ord("t")] = 4 + 2 + 4 * 65_535

TRANSACTION_STATES: Final = frozenset(b"ITE")

SYNC: Final = b"S\x00\x00\x00\x04"
# Sent in the place of a refused request: a real syntax error fails the transaction upstream exactly as any error
# does, keeps the pipeline in order, and touches no statement or portal of the agent (the name is never created).
FAILING_QUERY: Final = b"Q\x00\x00\x00\x14custody refused\x00"
FAILING_PARSE: Final = b"P\x00\x00\x00\x26custody_refused\x00custody refused\x00\x00\x00"

ENCODINGS: Final[dict[str, str]] = {
    "UTF8": "utf-8", "SQL_ASCII": "utf-8", "LATIN1": "latin-1", "LATIN2": "iso8859-2", "LATIN9": "iso8859-15",
    "WIN1250": "cp1250", "WIN1251": "cp1251", "WIN1252": "cp1252", "WIN866": "cp866", "KOI8R": "koi8-r",
    "KOI8U": "koi8-u", "EUC_JP": "euc_jp", "EUC_KR": "euc_kr", "EUC_CN": "gb2312", "SJIS": "shift_jis",
    "BIG5": "big5", "GBK": "gbk", "GB18030": "gb18030", "UHC": "cp949", "JOHAB": "johab",
}  # fmt: skip

ERROR_FIELDS: Final[dict[int, str]] = {
    ord("S"): "severity", ord("V"): "severity_code", ord("C"): "sqlstate", ord("M"): "message", ord("D"): "detail",
    ord("H"): "hint", ord("P"): "position", ord("p"): "internal_position", ord("q"): "internal_query",
    ord("W"): "context", ord("s"): "schema", ord("t"): "table", ord("c"): "column", ord("d"): "type",
    ord("n"): "constraint", ord("F"): "file", ord("L"): "line", ord("R"): "routine",
}  # fmt: skip


class MalformedError(ValueError):
    """Bytes of the captured side that are not what the protocol says. Never leaves the codec."""


class WithheldError(MalformedError):
    """An answer that cannot be masked or limited as ordered. The session ends with it; nothing more of it is shown."""


@dataclass(frozen=True)
class CancelKey:
    """What a CancelRequest must show. `secret` is 4 bytes in protocol 3.0, up to 256 in 3.2."""

    process_id: int
    secret: bytes = field(repr=False)


def message(kind: bytes, body: bytes) -> bytes:
    """A whole message: type, length, body."""
    return kind + INT32.pack(len(body) + 4) + body


def error_response(severity: str, sqlstate: str, text: str, *, hint: str = "") -> bytes:
    """An ErrorResponse. `severity` is ERROR (the session goes on) or FATAL (close it after this)."""
    return message(b"E", _told(severity, sqlstate, text, hint))


def notice_response(sqlstate: str, text: str) -> bytes:
    """A NoticeResponse: may come between any two messages."""
    return message(b"N", _told("NOTICE", sqlstate, text))


def _told(severity: str, sqlstate: str, text: str, hint: str = "") -> bytes:
    fields = [("S", severity), ("V", severity), ("C", sqlstate), ("M", text)]
    if hint:
        fields.append(("H", hint))
    return b"".join(f"{code}{value}".replace("\0", "?").encode() + b"\0" for code, value in fields) + b"\0"


def ready_for_query(status: int) -> bytes:
    """A ReadyForQuery; `status` is the byte I, T or E."""
    return b"Z\x00\x00\x00\x05" + bytes((status,))


def cancel_request(key: CancelKey) -> bytes:
    """A whole CancelRequest packet for a new connection to the upstream."""
    body = INT32.pack(CANCEL_REQUEST) + INT32.pack(key.process_id) + key.secret
    return INT32.pack(len(body) + 4) + body


def backend_key_data(key: CancelKey) -> bytes:
    return message(b"K", INT32.pack(key.process_id) + key.secret)


def uint16(data: bytes, at: int) -> int:
    """The unsigned 16-bit number at a place. IndexError beyond the end."""
    return data[at] << 8 | data[at + 1]


def uint32(data: bytes, at: int) -> int:
    """The unsigned 32-bit number at a place. IndexError beyond the end."""
    number: int = read_i32_be(data, at)
    return number & 0xFFFF_FFFF


def int32(data: bytes, at: int) -> int:
    """The signed 32-bit number at a place. IndexError beyond the end."""
    return read_i32_be(data, at)


def cut(data: bytes, start: int, end: int) -> bytes:
    """The bytes from `start` to `end`, none when a message is too short for `end` to lie behind `start`.

    Compiled code (mypyc) takes a slice of negative length for an internal error.
    """
    return data[start:end] if start < end else b""


def read_cstring(data: bytes, start: int, end: int) -> tuple[bytes, int]:
    """The zero-terminated bytes at `start` and the place after them; MalformedError without a zero before `end`."""
    stop = data.find(b"\0", start, end)
    if stop < 0:
        raise MalformedError("a string without its end")
    return data[start:stop], stop + 1


def read_fields(data: bytes, start: int, end: int, encoding: str = "utf-8") -> dict[str, str]:
    """The fields of an ErrorResponse or NoticeResponse by name; of a cut one, those that are whole."""
    fields: dict[str, str] = {}
    while start < end and data[start]:
        stop = data.find(b"\0", start + 1, end)
        if stop < 0:
            stop = end
        name = ERROR_FIELDS.get(data[start])
        if name is not None:
            fields[name] = data[start + 1 : stop].decode(encoding, "backslashreplace")
        start = stop + 1
    return fields
