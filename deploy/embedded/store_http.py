"""The front: ClickHouse's HTTP protocol over the engine. Parses requests, asks the guard, answers.

Requests: GET or POST, the query in `query=`, in the body, or both (statement in the URL, data in the body); forms too.
Settings in the URL are ignored, save those of store_insert.INSERT_SETTINGS and `log_comment`, which names the order
under which an ALTER … DELETE runs (`ERASE <order id>`, or `EXPIRE <order id>` for what a legal hold had kept).
"""

import asyncio
import hashlib
import json
import logging
import re
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from aiohttp import web

from deploy.embedded.store_auth import authenticate, find_login
from deploy.embedded.store_codec import PACKERS, BodyReader, make_unpacker, pick_packer
from deploy.embedded.store_engine import APPENDABLE, Answer, Engine, Handle, Lane
from deploy.embedded.store_errors import QueryError, QueryRefused, bad_request, refused, too_large
from deploy.embedded.store_guard import Statement, decide
from deploy.embedded.store_insert import (
    MAX_HEAD_BYTES,
    InsertHead,
    check_insert,
    check_inserter,
    is_insert,
    parse_head,
    pick_settings,
)
from deploy.embedded.store_parses import Parses
from deploy.embedded.store_roles import DATABASE, Role
from deploy.embedded.store_spool import Body, Inbox

log = logging.getLogger("custody.store")

MAX_QUERY_BYTES: Final = 256 << 10
MAX_UPLOADS: Final = 8
MIN_PACKED_BYTES: Final = 1024
CHUNK_BYTES: Final = 256 << 10
DATABASES: Final = frozenset({"", "default", DATABASE})
CONTENT_TYPES: Final = {
    "TabSeparated": "text/tab-separated-values; charset=UTF-8",
    "TSV": "text/tab-separated-values; charset=UTF-8",
    "CSV": "text/csv; charset=UTF-8; header=absent",
    "CSVWithNames": "text/csv; charset=UTF-8; header=present",
    "JSON": "application/json; charset=UTF-8",
    "JSONCompact": "application/json; charset=UTF-8",
    "JSONEachRow": "application/x-ndjson; charset=UTF-8",
    "JSONCompactEachRow": "application/x-ndjson; charset=UTF-8",
}
TEXT_FORMATS: Final = frozenset(
    "TabSeparatedRaw TSVRaw TabSeparatedWithNames TSVWithNames TabSeparatedWithNamesAndTypes TSVWithNamesAndTypes"
    " TabSeparatedRawWithNames TSVRawWithNames CSVWithNamesAndTypes Pretty PrettyCompact PrettyCompactMonoBlock"
    " PrettyCompactNoEscapes PrettyNoEscapes PrettyMonoBlock PrettySpace Vertical Values Markdown XML JSONStrings"
    " JSONColumns JSONColumnsWithMetadata JSONCompactColumns JSONCompactStrings JSONObjectEachRow"
    " JSONStringsEachRow JSONCompactEachRowWithNames JSONCompactEachRowWithNamesAndTypes NDJSON JSONLines"
    " JSONCompactStringsEachRowWithNamesAndTypes LineAsString Null SQLInsert".split()
)
BINARY_FORMATS: Final = frozenset(
    "Native RowBinary RowBinaryWithNames RowBinaryWithNamesAndTypes Arrow ArrowStream Parquet ORC Avro MsgPack"
    " BSONEachRow RawBLOB Npy".split()
)
FORM_TYPE: Final = "multipart/form-data"  # a plain query in the body often calls itself urlencoded (curl does)
ORDER_COMMENT: Final = re.compile(r"(?:ERASE|EXPIRE) ([\w.:/-]{1,128})", re.ASCII)
QUERY_ID: Final = re.compile(r"[\w.:@/-]{1,128}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Front:
    """What a request handler needs."""

    engine: Engine
    inbox: Inbox
    passwords: Mapping[Role, bytes] = field(repr=False)
    uploads: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MAX_UPLOADS))
    parses: Parses = field(default_factory=Parses, repr=False)

    def make_app(self) -> web.Application:
        """The web application. Bodies are bounded by the inbox, not by aiohttp."""
        app = web.Application(client_max_size=MAX_QUERY_BYTES)
        app.router.add_get("/ping", _answer_ping)
        app.router.add_get("/replicas_status", _answer_ping)
        for method in ("GET", "POST", "OPTIONS"):
            app.router.add_route(method, "/", self.answer)
        return app

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Serve one request; every failure becomes ClickHouse's text, code header and status."""
        params = dict(request.query)
        query_id = params.get("query_id", "")
        exchange = Exchange(self, request, params, query_id if QUERY_ID.fullmatch(query_id) else str(uuid.uuid4()))
        try:
            return await exchange.run()
        except QueryError as error:
            return exchange.fail(error)
        except QueryRefused as error:
            return exchange.fail(refused(str(error)))
        except UnicodeDecodeError:
            return exchange.fail(bad_request("the query is not UTF-8"))
        except OSError as error:
            log.error("cannot serve query=%s: %s", exchange.digest or "-", error.strerror)
            return exchange.fail(QueryError(1002, "UNKNOWN_EXCEPTION", "the store cannot read or write its files"))
        except web.HTTPRequestEntityTooLarge:
            return exchange.fail(too_large("the query", MAX_QUERY_BYTES))
        except Exception as error:  # its text may hold a query, so only its kind is told
            log.error("failed query=%s: %s", exchange.digest or "-", type(error).__name__)
            return exchange.fail(QueryError(1002, "UNKNOWN_EXCEPTION", "the store failed on this request"))


async def _answer_ping(_request: web.Request) -> web.Response:
    return web.Response(text="Ok.\n")


class Exchange:
    """One request and its response."""

    def __init__(self, front: Front, request: web.Request, params: dict[str, str], query_id: str) -> None:
        self.front = front
        self.request = request
        self.params = params
        self.query_id = query_id
        self.started = time.monotonic_ns()
        self.role: Role | None = None
        self.digest = ""

    async def run(self) -> web.StreamResponse:
        if self.request.content_type == FORM_TYPE and self.request.method == "POST" and "query" not in self.params:
            self.role = self._authenticate()
            self.params |= await self._read_form()
            return await self._read(self.params.get("query", "").encode())
        if "query" not in self.params and self.request.method == "GET" and not self.request.can_read_body:
            return web.Response(text="Ok.\n")
        self.role = self._authenticate()
        reader = BodyReader(self.request.content, make_unpacker(self.request.headers.get("Content-Encoding", "")))
        head = self.params.get("query", "").encode()
        for name in ("compress", "decompress"):
            if self.params.get(name) == "1":
                raise bad_request(f"{name}=1 is not available; use Accept-Encoding and Content-Encoding")
        waiting = b"" if is_insert(head) else await reader.take(MAX_HEAD_BYTES)
        text = _join(head, waiting)
        if is_insert(text):
            return await self._insert(text, reader)
        rest = await reader.take(MAX_QUERY_BYTES - len(text) + 1)
        return await self._read(text + rest)

    def _authenticate(self) -> Role:
        role = authenticate(find_login(self.request.headers, self.params), self.front.passwords)
        database = self.params.get("database", self.request.headers.get("X-ClickHouse-Database", ""))
        if database not in DATABASES:
            raise QueryError(81, "UNKNOWN_DATABASE", f"Database {database[:64]} does not exist or is not available")
        return role

    async def _read_form(self) -> dict[str, str]:
        try:
            fields = await self.request.post()
        except ValueError:
            raise bad_request("the form is damaged") from None
        return {name: value for name, value in fields.items() if isinstance(value, str)}

    async def _read(self, query: bytes) -> web.StreamResponse:
        """Everything but INSERT: parsed and decided on by the same handle that then runs it."""
        if len(query) > MAX_QUERY_BYTES:
            raise too_large("the query", MAX_QUERY_BYTES)
        text = query.decode()
        self.digest = _digest(query)
        if any(ord(char) < 32 and char not in "\t\r\n" for char in text):
            raise bad_request("the query holds control characters")
        if not text.strip().strip(";").strip():
            raise QueryError(62, "SYNTAX_ERROR", "Syntax error: Empty query")
        role = self.role
        assert role is not None  # noqa: S101 - set by run
        bound = {name[6:]: value for name, value in self.params.items() if name.startswith("param_")}
        order = ORDER_COMMENT.fullmatch(self.params.get("log_comment", ""))
        erase_order = order.group(1) if order else ""
        default = (
            self.params.get("default_format", self.request.headers.get("X-ClickHouse-Format", "")) or "TabSeparated"
        )
        statement = await self.front.engine.read.call(
            lambda handle: decide(role, self.front.parses.parse(handle, text, bound), erase_order)
        )
        output = _known_format(statement.format or default)
        answer = await self._lane(statement).call(lambda handle: self._run(handle, statement, text, output, bound))
        self._log(statement.kind, answer)
        return await self._reply(answer, output)

    def _run(self, handle: Handle, statement: Statement, text: str, output: str, params: dict[str, str]) -> Answer:
        if statement.kind == "select" and not statement.has_totals and output in APPENDABLE:
            return handle.collect(text, output, params, self.front.engine.limits.max_result_bytes)
        return handle.run(text, output, params)

    def _lane(self, statement: Statement) -> Lane:
        if not statement.is_read and self.request.method == "GET":
            raise QueryError(164, "READONLY", "Cannot execute query in readonly mode: GET only reads")
        return self._read_lane() if statement.is_read else self.front.engine.admin

    def _read_lane(self) -> Lane:
        return self.front.engine.read if self.role is Role.READER else self.front.engine.check

    async def _insert(self, text: bytes, reader: BodyReader) -> web.StreamResponse:
        """The head is ours to write; the data goes to a file and from there into the engine."""
        if self.request.method == "GET":
            raise QueryError(164, "READONLY", "Cannot execute query in readonly mode: GET only reads")
        assert self.role is not None  # noqa: S101 - set by run
        check_inserter(self.role)
        insert = parse_head(text)
        self.digest = _digest(text[: insert.length])
        check_insert(self.role, insert)
        settings = pick_settings(self.params)
        # Beyond MAX_UPLOADS a client waits with its body unread, so that files and memory stay bounded.
        async with self.front.uploads:
            answer = await self._store(insert, settings, text[insert.length :], reader)
        self._log(f"insert {insert.table}", answer)
        written = Answer(b"", answer.rows_read, answer.rows_written, answer.bytes_written)
        return await self._reply(written, "TabSeparated")

    async def _store(self, insert: InsertHead, settings: dict[str, str], first: bytes, reader: BodyReader) -> Answer:
        lane = self.front.engine.admin if self.role is Role.SCHEMA else self.front.engine.write
        with self.front.inbox.open_body() as body:
            await self._spool(body, first, reader)
            if not body.size:
                raise QueryError(108, "NO_DATA_TO_INSERT", "No data to insert")
            sql = insert.statement(str(body.path), settings)
            work = asyncio.ensure_future(lane.call(lambda handle: _run_insert(handle, sql), hidden=str(body.path)))
            return await _outlast(work)

    async def _spool(self, body: Body, first: bytes, reader: BodyReader) -> None:
        body.write(first)
        while piece := await reader.next_piece():
            body.write(piece)

    async def _reply(self, answer: Answer, output: str) -> web.StreamResponse:
        response = web.StreamResponse(headers=self._headers(answer, output))
        body = answer.body
        accepted = self.request.headers.get("Accept-Encoding", "")
        packer = pick_packer(accepted) if self.params.get("enable_http_compression", "1") != "0" else ""
        if packer and len(body) >= MIN_PACKED_BYTES:
            body = await asyncio.get_running_loop().run_in_executor(None, PACKERS[packer], body)
            response.headers["Content-Encoding"] = packer
        response.content_length = len(body)
        await response.prepare(self.request)
        view = memoryview(body)
        for start in range(0, len(view), CHUNK_BYTES):
            await response.write(bytes(view[start : start + CHUNK_BYTES]))
        await response.write_eof()
        return response

    def _headers(self, answer: Answer, output: str) -> dict[str, str]:
        summary = {
            "read_rows": answer.rows_read,
            "read_bytes": 0,
            "written_rows": answer.rows_written,
            "written_bytes": answer.bytes_written,
            "total_rows_to_read": 0,
            "result_rows": answer.rows_written,
            "result_bytes": len(answer.body),
            "elapsed_ns": time.monotonic_ns() - self.started,
        }
        return {
            "Content-Type": _content_type(output),
            "X-ClickHouse-Query-Id": self.query_id,
            "X-ClickHouse-Server-Display-Name": "custody",
            "X-ClickHouse-Format": output,
            "X-ClickHouse-Timezone": "UTC",
            "X-ClickHouse-Summary": json.dumps({name: str(value) for name, value in summary.items()}),
        }

    def fail(self, error: QueryError) -> web.Response:
        """The error as ClickHouse words it. The log gets no text of the query or of the engine's message."""
        log.info("refused role=%s query=%s code=%d %s", self.role or "-", self.digest or "-", error.code, error.name)
        headers = {"X-ClickHouse-Exception-Code": str(error.code), "X-ClickHouse-Query-Id": self.query_id}
        if error.http_status == 401:
            headers["WWW-Authenticate"] = 'Basic realm="custody store"'
        if not self.request.content.at_eof():
            headers["Connection"] = "close"
        version = self.front.engine.version
        text = f"{error} (version {version} (official build))\n"
        return web.Response(status=error.http_status, text=text, headers=headers)

    def _log(self, kind: str, answer: Answer) -> None:
        elapsed_ms = (time.monotonic_ns() - self.started) // 1_000_000
        log.info(
            "served role=%s query=%s kind=%s rows=%d ms=%d",
            self.role, self.digest, kind, answer.rows_written or answer.rows_read, elapsed_ms,
        )  # fmt: skip


def _run_insert(handle: Handle, sql: str) -> Answer:
    return handle.run(sql, "Null")


async def _outlast[T](work: asyncio.Future[T]) -> T:
    """Await `work` to its end even when the client leaves: its file must stay until the engine has read it."""
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        await asyncio.wait([work])
        raise


def _join(head: bytes, body: bytes) -> bytes:
    """ClickHouse reads the `query` parameter and then the body as one text."""
    return head + b"\n" + body if head and body else head or body


def _digest(query: bytes) -> str:
    return hashlib.sha256(query).hexdigest()[:16]


def _known_format(name: str) -> str:
    if name in CONTENT_TYPES or name in TEXT_FORMATS or name in BINARY_FORMATS:
        return name
    raise QueryError(73, "UNKNOWN_FORMAT", f"Unknown format {name[:64]}")


def _content_type(output: str) -> str:
    if output in BINARY_FORMATS:
        return "application/octet-stream"
    return CONTENT_TYPES.get(output, "text/plain; charset=UTF-8")
