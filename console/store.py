"""The record as the console reads it: ClickHouse over HTTP with the reader's login, errors mapped once."""

import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError, DatabaseError, OperationalError

from console.control import Place, require_home
from schemas.errors import CustodyError, Fault, Unreachable

ROLE: Final = "reader"
DATABASE: Final = "custody"
CONNECT_TIMEOUT_S: Final = 5
QUERY_TIMEOUT_S: Final = 120

# Its failures are raised as well; without a handler its log would be a second line on standard error.
logging.getLogger("clickhouse_connect").addHandler(logging.NullHandler())

# The embedded store has the engine parse a statement first, and the engine quotes that question in its errors.
_PARSING: Final = re.compile(r": In scope SELECT formatQuerySingleLine\(.*\)\.? (?=\([A-Z][A-Z0-9_]+\)$)", re.DOTALL)

_EXCEPTION: Final = re.compile(r"(Code: \d+\. DB::Exception: .*\([A-Z][A-Z0-9_]+\))", re.DOTALL)


class QueryFailed(CustodyError):
    """The store refused a statement or could not run it; the message is the store's own."""

    fault = Fault.CALLER


@dataclass(frozen=True, slots=True)
class Store:
    """A connection of the reader."""

    client: Client

    def rows(
        self, sql: str, parameters: Mapping[str, Any] | None = None, *, as_bytes: bool = False
    ) -> list[dict[str, Any]]:
        """All rows of a query, as dicts; strings as bytes if asked for. Parameters are bound by the server.

        Raises QueryFailed, Unreachable.
        """
        formats = {"*String": "bytes"} if as_bytes else None
        with _mapped():
            result = self.client.query(sql, parameters=dict(parameters or {}), query_formats=formats)
            return [dict(zip(result.column_names, row, strict=True)) for row in result.result_rows]

    def one(self, sql: str, parameters: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The first row; empty when there is none."""
        found = self.rows(sql, parameters)
        return found[0] if found else {}

    def stream(self, sql: str, format: str) -> Iterator[bytes]:
        """The answer's bytes in pieces; `format` is one of ClickHouse's, "" when the statement names it itself.

        Raises QueryFailed, Unreachable.
        """
        with _mapped(format):
            stream: Any = self.client.raw_stream(sql, fmt=format or None)
            try:
                while piece := stream.read(1 << 16):
                    yield piece
            finally:
                stream.close()


@contextmanager
def open_store(place: Place) -> Iterator[Store]:
    """Connect as the reader. Raises Unreachable, ConfigError."""
    require_home(place)
    url = urlsplit(place.settings.store_url())
    try:
        client = clickhouse_connect.get_client(
            host=url.hostname or "127.0.0.1",
            port=url.port or (8443 if url.scheme == "https" else 8123),
            interface=url.scheme or "http",
            username=ROLE,
            password=place.home.read_secret(f"store/{ROLE}.password"),
            database=DATABASE,
            connect_timeout=CONNECT_TIMEOUT_S,
            send_receive_timeout=QUERY_TIMEOUT_S,
            autogenerate_session_id=False,
            query_retries=0,
        )
    except ClickHouseError as error:
        raise _unreachable(place, error) from None
    try:
        yield Store(client)
    finally:
        client.close()


def _unreachable(place: Place, error: Exception) -> CustodyError:
    if isinstance(error, DatabaseError) and not isinstance(error, OperationalError) and _EXCEPTION.search(str(error)):
        return QueryFailed(message_of(error))
    return Unreachable(f"the store at {place.settings.store_url()} does not answer; see `custody status`")


@contextmanager
def _mapped(format: str = "") -> Iterator[None]:
    """Errors of the client as our own, without the FORMAT that it put behind the statement."""
    try:
        yield
    except OperationalError:
        raise Unreachable("the store does not answer; see `custody status`") from None
    except ClickHouseError as error:
        words = message_of(error)
        raise QueryFailed(words.replace(f" FORMAT {format}", "", 1) if format else words) from None


def message_of(error: Exception) -> str:
    """The store's own words, without what the client adds around them."""
    text = str(error)
    found = _EXCEPTION.search(text)
    words = _PARSING.sub(" ", found.group(1)) if found else text
    return re.sub(r"\s+", " ", words).strip()[:1000]
