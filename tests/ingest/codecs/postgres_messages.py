"""Messages written by hand, for what no recorded client does."""

import struct


def message(kind: str, body: bytes = b"") -> bytes:
    return kind.encode() + struct.pack("!I", len(body) + 4) + body


def query(text: str) -> bytes:
    return message("Q", text.encode() + b"\0")


def parse(text: str, name: str = "", oids: tuple[int, ...] = ()) -> bytes:
    body = name.encode() + b"\0" + text.encode() + b"\0" + struct.pack(f"!H{len(oids)}I", len(oids), *oids)
    return message("P", body)


def bind(
    name: str = "",
    portal: str = "",
    values: tuple[bytes | None, ...] = (),
    formats: tuple[int, ...] = (),
    results: tuple[int, ...] = (),
) -> bytes:
    body = portal.encode() + b"\0" + name.encode() + b"\0" + struct.pack(f"!H{len(formats)}H", len(formats), *formats)
    body += struct.pack("!H", len(values))
    for value in values:
        body += struct.pack("!i", -1) if value is None else struct.pack("!i", len(value)) + value
    return message("B", body + struct.pack(f"!H{len(results)}H", len(results), *results))


def describe(name: str = "", kind: str = "P") -> bytes:
    return message("D", kind.encode() + name.encode() + b"\0")


def close(name: str = "", kind: str = "S") -> bytes:
    return message("C", kind.encode() + name.encode() + b"\0")


def execute(portal: str = "", limit: int = 0) -> bytes:
    return message("E", portal.encode() + b"\0" + struct.pack("!I", limit))


SYNC = message("S")
FLUSH = message("H")
TERMINATE = message("X")
PARSED = message("1")
BOUND = message("2")
CLOSED = message("3")
NO_DATA = message("n")


def ready(status: str = "I") -> bytes:
    return message("Z", status.encode())


def complete(tag: str) -> bytes:
    return message("C", tag.encode() + b"\0")


def columns(*names: str, oid: int = 25, code: int = 0) -> bytes:
    body = struct.pack("!H", len(names))
    for name in names:
        body += name.encode() + b"\0" + struct.pack("!IHIhiH", 0, 0, oid, -1, -1, code)
    return message("T", body)


def row(*values: bytes | None) -> bytes:
    body = struct.pack("!H", len(values))
    for value in values:
        body += struct.pack("!i", -1) if value is None else struct.pack("!i", len(value)) + value
    return message("D", body)


def error(sqlstate: str = "22012", text: str = "division by zero", severity: str = "ERROR") -> bytes:
    return message("E", f"S{severity}\0V{severity}\0C{sqlstate}\0M{text}\0".encode() + b"\0")


def notice(text: str) -> bytes:
    return message("N", f"SNOTICE\0VNOTICE\0C00000\0M{text}\0".encode() + b"\0")


def copy_begins(kind: str) -> bytes:
    return message(kind, b"\0\0\1\0\0")


def copy_data(data: bytes) -> bytes:
    return message("d", data)


COPY_DONE = message("c")
EMPTY = message("I")
SUSPENDED = message("s")
