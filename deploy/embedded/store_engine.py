"""chDB behind lanes of threads: each thread holds one handle, discards it after any error, and waits are bounded.

One process owns the engine; a handle is a session with settings of its own. A failed statement may leave output in its
handle that would turn up in the next reply, so no handle outlives an error.
"""

import asyncio
import logging
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from deploy.embedded.store_ast import Parsed, blank_quoted, check_clauses, parse_tree, quote_literal
from deploy.embedded.store_errors import from_engine, overloaded, result_too_large
from deploy.embedded.store_roles import DATABASE

log = logging.getLogger("custody.store")

ENGINE_ERRORS: Final = frozenset({"ChdbError", "RuntimeError"})  # chDB has two classes of the first name
APPENDABLE: Final = frozenset(
    {
        "Native", "RowBinary", "TabSeparated", "TSV", "TabSeparatedRaw", "TSVRaw", "CSV", "JSONEachRow", "NDJSON",
        "JSONLines", "JSONCompactEachRow", "JSONStringsEachRow", "MsgPack",
    }
)  # fmt: skip
"""Formats whose output of several blocks is the outputs of the blocks, one after another; nothing for no rows."""

COMMON_SETTINGS: Final = {
    "input_format_values_interpret_expressions": 0,  # VALUES (file('…')) would be evaluated
    "mutations_sync": 2,
    "max_query_size": 1 << 20,
    "max_ast_elements": 50_000,
    "max_parser_depth": 500,
    "session_timezone": "UTC",
}


@dataclass(frozen=True, slots=True)
class EngineLimits:
    """Bounds of every query. A query beyond one ends with a clear error."""

    read_threads: int = 3
    check_threads: int = 2
    write_threads: int = 2
    max_waiting: int = 64
    max_result_bytes: int = 256 << 20
    max_read_seconds: int = 60
    max_write_seconds: int = 300
    max_memory_bytes: int = 2 << 30


@dataclass(frozen=True, slots=True)
class Answer:
    """Output of one statement."""

    body: bytes
    rows_read: int = 0
    rows_written: int = 0
    bytes_written: int = 0


class Handle:
    """One session of the engine; blocking, for one thread."""

    def __init__(self, path: str, settings: dict[str, Any]) -> None:
        import chdb  # the engine starts threads on import, so the process is sealed off before

        self._connection = chdb.connect(path)
        try:
            self._connection.query(f"USE {DATABASE}")
            # readonly comes last: after it nothing can be set.
            for name, value in settings.items():
                literal = quote_literal(value) if isinstance(value, str) else value
                self._connection.query(f"SET {name} = {literal}")
        except Exception:
            self.close()
            raise

    def run(self, statement: str, output_format: str, params: dict[str, str] | None = None) -> Answer:
        """Raises chDB's own error with the engine's text."""
        result = self._connection.query(statement, output_format, params=params or {})
        return Answer(result.bytes() or b"", result.rows_read(), result.rows_written(), result.bytes_written())

    def collect(self, statement: str, output_format: str, params: dict[str, str], max_bytes: int) -> Answer:
        """A SELECT in one of APPENDABLE formats, taken block by block, so that its size is known before it is large.

        max_result_bytes alone would not do: the engine counts a constant column once, however often it is written.
        Raises QueryError (396), and chDB's own errors.
        """
        blocks: list[bytes] = []
        size = rows = 0
        result = self._connection.send_query(statement, output_format, params=params)
        try:
            for block in result:
                blocks.append(block.bytes() or b"")
                size += len(blocks[-1])
                rows += block.rows_read()
                if size > max_bytes:
                    raise result_too_large(max_bytes)
        finally:
            result.close()
        return Answer(b"".join(blocks), rows)

    def parse(self, statement: str, params: dict[str, str] | None = None) -> Parsed:
        """The engine's parse of exactly one statement: more than one is an error here, before anything runs."""
        formatted = self.run(f"SELECT formatQuerySingleLine({quote_literal(statement)})", "TSVRaw").body.decode()
        blanked = blank_quoted(formatted.removesuffix("\n"))
        # EXPLAIN AST would run what follows a semicolon and apply SETTINGS, so it comes second.
        check_clauses(blanked)
        tree = self.run(f"EXPLAIN AST {statement}", "TSVRaw", params).body.decode()
        return Parsed(blanked, parse_tree(tree.rstrip("\n").split("\n")))

    def close(self) -> None:
        self._connection.close()


class Lane:
    """Threads that serve one kind of work, with a bounded number of callers waiting."""

    def __init__(self, path: str, name: str, threads: int, max_waiting: int, settings: dict[str, Any]) -> None:
        self._open = partial(Handle, path, settings)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._local = threading.local()
        self._bound = threads + max_waiting
        self._pending = 0

    async def call[T](self, work: Callable[[Handle], T], hidden: str = "") -> T:
        """Run `work` with a handle. Raises QueryError; `hidden` is taken out of its text."""
        if self._pending >= self._bound:
            raise overloaded()
        self._pending += 1
        future = asyncio.get_running_loop().run_in_executor(self._pool, self._work, work, hidden)
        future.add_done_callback(self._count_down)
        return await asyncio.shield(future)

    def _count_down(self, future: asyncio.Future[Any]) -> None:
        self._pending -= 1
        if not future.cancelled():
            future.exception()  # the caller may be gone

    def _work[T](self, work: Callable[[Handle], T], hidden: str) -> T:
        handle: Handle | None = getattr(self._local, "handle", None)
        try:
            if handle is None:
                handle = self._open()
                self._local.handle = handle
            return work(handle)
        except BaseException as error:
            self._local.handle = None
            if handle is not None:
                handle.close()
            if type(error).__name__ in ENGINE_ERRORS:
                raise from_engine(str(error), hidden) from None
            raise

    @property
    def is_idle(self) -> bool:
        return self._pending == 0

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)


class Engine:
    """The lanes over one data directory.

    `read` serves the reader and `check` what the other roles read, both with readonly handles; `write` takes the
    writer's INSERTs, `admin` what retention and schema do.
    """

    def __init__(self, directory: Path, limits: EngineLimits) -> None:
        path = str(directory)
        self.limits = limits
        self._keeper = self._start(path)
        write = COMMON_SETTINGS | {
            "max_execution_time": limits.max_write_seconds,
            "max_memory_usage": limits.max_memory_bytes,
            "async_insert": 0,
        }
        read = COMMON_SETTINGS | {
            "max_execution_time": limits.max_read_seconds,
            "max_memory_usage": limits.max_memory_bytes,
            "max_result_bytes": limits.max_result_bytes,
            "result_overflow_mode": "throw",
        }
        self.read = Lane(path, "read", limits.read_threads, limits.max_waiting, read | {"readonly": 1})
        # readonly=2 differs in what system.settings says: clients with a login that may write ask there whether they
        # may send insert_deduplication_token or log_comment.
        self.check = Lane(path, "check", limits.check_threads, limits.max_waiting, read | {"readonly": 2})
        self.write = Lane(path, "write", limits.write_threads, limits.max_waiting, write)
        self.admin = Lane(path, "admin", 1, limits.max_waiting, write)
        self.version = self._keeper.query("SELECT version()", "TSVRaw").bytes().decode().strip()

    @staticmethod
    def _start(path: str) -> Any:
        """Open the engine and keep one handle, so that it lives as long as the process."""
        import chdb

        keeper = chdb.connect(path)
        keeper.query(f"CREATE DATABASE IF NOT EXISTS {DATABASE}")
        return keeper

    @property
    def lanes(self) -> tuple[Lane, ...]:
        return (self.read, self.check, self.write, self.admin)

    def close(self) -> None:
        """Close an idle engine in order. One that is busy is left as kill -9 would leave it, which it stands."""
        if not all(lane.is_idle for lane in self.lanes):
            log.warning("stopped with queries running")
            logging.shutdown()
            os._exit(0)
        for lane in self.lanes:
            lane.close()
        self._keeper.close()
