"""A small model of a PostgreSQL server: enough of its rules to tell whether the codec's record is true.

It knows names, transactions, the error state up to Sync and COPY, and keeps what it really executed.
"""

import struct

from tests.ingest.codecs import postgres_messages as m


class ModelServer:
    def __init__(self) -> None:
        self.executed: list[str] = []
        self.status = "I"
        self._buffer = b""
        self._statements: dict[bytes, str] = {}
        self._portals: dict[bytes, str] = {}
        self._is_skipping = False
        self._copying = ""
        self._code = ""

    def receive(self, data: bytes) -> bytes:
        """Bytes from the proxy in, all answers out."""
        self._buffer += data
        out = b""
        while len(self._buffer) >= 5:
            (length,) = struct.unpack_from("!I", self._buffer, 1)
            if len(self._buffer) < length + 1:
                break
            kind, body = self._buffer[:1], self._buffer[5 : length + 1]
            self._buffer = self._buffer[length + 1 :]
            out += self._handle(kind.decode(), body)
        return out

    def _handle(self, kind: str, body: bytes) -> bytes:
        if self._copying:
            return self._copy(kind)
        if self._is_skipping and kind != "S":
            return b""
        handler = getattr(self, f"_on_{kind}", None)
        return handler(body) if handler is not None else b""  # stray copy messages are ignored

    def _fail(self, code: str, text: str) -> bytes:
        if self.status == "T":
            self.status = "E"
        self._portals.clear()
        return m.error(code, text)

    def _fail_until_sync(self, code: str, text: str) -> bytes:
        self._is_skipping = True
        return self._fail(code, text)

    def _ready(self) -> bytes:
        if self.status == "I":
            self._portals.clear()
        return m.ready(self.status)

    def _run(self, text: str, origin: str) -> bytes | None:
        """The answer up to CommandComplete; None: it failed."""
        self._code = "42601"
        if "custody refused" in text or "syntax" in text:
            return None
        self._code = "25P02"
        if self.status == "E" and text not in ("commit", "rollback"):
            return None
        self._code = "22012"
        self.executed.append(text)
        if text == "begin":
            self.status = "T"
            return m.complete("BEGIN")
        if text in ("commit", "rollback"):
            self.status = "I"
            return m.complete(text.upper())
        if "fail" in text:
            self.executed[-1] += " !"
            return None
        if text == "copy in":
            self._copying = origin
            return m.copy_begins("G")
        if text == "copy out":
            return m.copy_begins("H") + m.copy_data(b"1\n") * 2 + m.COPY_DONE + m.complete("COPY 2")
        if text == "":
            return m.EMPTY
        return m.row(text.encode()) + m.complete("SELECT 1")

    def _on_Q(self, body: bytes) -> bytes:
        answer = self._run(body[:-1].decode(), "Q")
        if self._copying:
            return answer or b""
        return (self._fail(self._code, "failed") if answer is None else answer) + self._ready()

    def _on_P(self, body: bytes) -> bytes:
        name, text = body.split(b"\0")[:2]
        if b"custody refused" in text or b"syntax" in text:
            return self._fail_until_sync("42601", "syntax error")
        if name and name in self._statements:
            return self._fail_until_sync("42P05", "exists")
        self._statements[name] = text.decode()
        return m.PARSED

    def _on_B(self, body: bytes) -> bytes:
        portal, name = body.split(b"\0")[:2]
        if name not in self._statements:
            return self._fail_until_sync("26000", "no such statement")
        if portal and portal in self._portals:
            return self._fail_until_sync("42P03", "exists")
        self._portals[portal] = self._statements[name]
        return m.BOUND

    def _on_D(self, body: bytes) -> bytes:
        names = self._statements if body[:1] == b"S" else self._portals
        if body[1:-1] not in names:
            return self._fail_until_sync("34000", "no such name")
        return m.NO_DATA

    def _on_C(self, body: bytes) -> bytes:
        (self._statements if body[:1] == b"S" else self._portals).pop(body[1:-1], None)
        return m.CLOSED

    def _on_E(self, body: bytes) -> bytes:
        name = body.split(b"\0")[0]
        if name not in self._portals:
            return self._fail_until_sync("34000", "no such portal")
        text = self._portals[name]
        if text == "copy in":  # a second Execute would find it done
            del self._portals[name]
        answer = self._run(text, "E")
        return self._fail_until_sync(self._code, "failed") if answer is None else answer

    def _on_S(self, _: bytes) -> bytes:
        self._is_skipping = False
        return self._ready()

    def _copy(self, kind: str) -> bytes:
        if kind in "dHS":
            return b""
        origin, self._copying = self._copying, ""
        is_fine = kind == "c"
        if origin == "Q":
            return (m.complete("COPY 1") if is_fine else self._fail("57014", "copy failed")) + self._ready()
        return m.complete("COPY 1") if is_fine else self._fail_until_sync("57014", "copy failed")
