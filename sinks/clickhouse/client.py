"""A login of the store, as sinks use it: columnar inserts, small queries, one error for "not now"."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

import clickhouse_connect
from clickhouse_connect.datatypes import registry
from clickhouse_connect.datatypes.base import ClickHouseType
from clickhouse_connect.driver import options
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError, DataError, ProgrammingError

from schemas.config import Settings
from schemas.errors import ConfigError, Unreachable
from schemas.runtime import Home
from sinks.clickhouse.native import Block

DATABASE: Final = "custody"
CONNECT_TIMEOUT_S: Final = 5
ANSWER_TIMEOUT_S: Final = 300  # an INSERT that takes long is still better than one in doubt
# Tables here are lists. Asked whether they are frames, the driver would load pandas: 0.7 CPU seconds at each start.
for _name in ("pd", "pd_time_test"):
    setattr(options, _name, None)
_LOW_CARDINALITY: Final = re.compile(r"LowCardinality\((\w+)\)")
LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})

Table = Mapping[str, Sequence[Any]]
"""Column name -> values, all of the same length."""


class StoreClient:
    """Connects at its first use. For one thread. Everything raises Unreachable when the store does not do its part."""

    def __init__(self, settings: Settings, home: Home, role: str) -> None:
        self._url = urlsplit(settings.store_url())
        self._role = role
        # On loopback compression costs more than it saves.
        self._packing = None if (self._url.hostname or "") in LOOPBACK else "lz4"
        self._password = home.read_secret(f"store/{role}.password")
        self._client: Client | None = None
        self._types: dict[str, dict[str, ClickHouseType]] = {}

    def query(self, sql: str, **params: Any) -> list[tuple[Any, ...]]:
        """Rows of a SELECT with {name:Type} parameters."""
        return self._do(lambda client: [tuple(row) for row in client.query(sql, parameters=params).result_rows])

    def rows(self, sql: str, **params: Any) -> list[dict[str, Any]]:
        """Rows of a SELECT by column name, strings as bytes."""

        def act(client: Client) -> list[dict[str, Any]]:
            result = client.query(sql, parameters=params, query_formats={"*String": "bytes"})
            return [dict(zip(result.column_names, row, strict=True)) for row in result.result_rows]

        return self._do(act)

    def command(self, sql: str, comment: str = "") -> None:
        """A statement without a result. `comment` names the order under which rows are deleted."""
        self._do(lambda client: client.command(sql, settings={"log_comment": comment} if comment else None))

    def copy(self, table: str, sql: str, token: str) -> None:
        """Append what a SELECT gives, columns by name; small enough for memory. `token` as for `insert`."""

        def act(client: Client) -> None:
            block = client.raw_query(sql, fmt="Native")
            settings = {"insert_deduplication_token": token}
            client.raw_insert(table, None, insert_block=block, settings=settings, fmt="Native", compression=None)

        self._do(act)

    def insert(self, table: str, columns: Table | Block, token: str = "") -> None:
        """Append rows; the store drops them where it has stored a block of the same token and partition before."""
        if isinstance(columns, Block):
            self._insert_block(table, columns, token)
        else:
            self._insert_table(table, columns, token)

    def _insert_block(self, table: str, block: Block, token: str) -> None:
        settings = {"insert_deduplication_token": token} if token else None
        self._do(
            lambda client: client.raw_insert(
                table, block.names, insert_block=block.data, settings=settings, fmt="Native", compression=self._packing
            )
        )

    def _insert_table(self, table: str, columns: Table, token: str) -> None:
        types = self._types.get(table) or self._read_types(table)
        if missing := columns.keys() - types.keys():
            raise ConfigError(f"custody.{table} has no column {', '.join(sorted(missing))}: apply the schema first")
        settings = {"insert_deduplication_token": token} if token else None
        names = list(columns)
        self._do(
            lambda client: client.insert(
                table,
                list(columns.values()),
                column_names=names,
                column_types=[types[name] for name in names],
                column_oriented=True,
                settings=settings,
            )
        )

    def close(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    def _read_types(self, table: str) -> dict[str, ClickHouseType]:
        sql = "SELECT name, type FROM system.columns WHERE database = {database:String} AND table = {table:String}"
        rows = self.query(sql, database=DATABASE, table=table)
        if not rows:
            raise Unreachable(f"the store has no table {DATABASE}.{table} yet")
        self._types[table] = {name: registry.get_from_name(sent_as(type_)) for name, type_ in rows}
        return self._types[table]

    def _do[T](self, act: Callable[[Client], T]) -> T:
        try:
            if self._client is None:
                self._client = self._connect()
            return act(self._client)
        except (DataError, ProgrammingError):
            raise  # a defect of the caller's: waiting does not help
        except (ClickHouseError, OSError) as error:
            lines = str(error).strip().splitlines() or [type(error).__name__]
            raise Unreachable(f"store: {lines[0][:200]}") from None

    def _connect(self) -> Client:
        return clickhouse_connect.get_client(
            host=self._url.hostname or "",
            port=self._url.port or (8443 if self._url.scheme == "https" else 8123),
            secure=self._url.scheme == "https",
            username=self._role,
            password=self._password,
            database=DATABASE,
            compress=self._packing or False,
            connect_timeout=CONNECT_TIMEOUT_S,
            send_receive_timeout=ANSWER_TIMEOUT_S,
            autogenerate_session_id=False,
            dedicated_pool=True,
        )


def sent_as(type_: str) -> str:
    """The type in which a column is sent: the store makes its dictionaries itself, a tenth as dear as Python can."""
    return _LOW_CARDINALITY.sub(r"\1", type_)
