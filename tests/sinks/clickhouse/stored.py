"""What is in the store, and processes that die on the way to it."""

from collections.abc import Sequence
from typing import Any

from schemas.wire import framing
from sinks.clickhouse.client import StoreClient
from sinks.clickhouse.progress import ProgressLedger
from sinks.clickhouse.ranges import RangeWriter
from sinks.clickhouse.writer import EventWriter
from sinks.columns import decode_batch
from sinks.reader import Batch
from tests.sinks.batches import make_batch


def as_batch(record: Any) -> Batch:
    data = framing.encode(record)
    origin = record.origin
    return Batch(origin.log_id, origin.partition, origin.offset, origin.offset, len(data), decode_batch(data))


def make(log_id: str, partition: int, offsets: Sequence[int], **options: Any) -> list[Batch]:
    return [as_batch(make_batch(partition, offset, log_id=log_id, **options)) for offset in offsets]


def stored(client: StoreClient, log_id: str, table: str = "events") -> list[tuple[Any, ...]]:
    sql = f"SELECT partition, offset, position FROM custody.{table} WHERE log_id = {{log:String}} ORDER BY 1, 2, 3"
    return client.query(sql, log=log_id)


def expected(partitions: dict[int, Sequence[int]], events: int = 5) -> list[tuple[int, int, int]]:
    return [(p, offset, i) for p, offsets in partitions.items() for offset in offsets for i in range(events)]


def open_writer(client: StoreClient, name: str) -> tuple[RangeWriter, EventWriter]:
    events = EventWriter(client)
    writer = RangeWriter(ProgressLedger(client, name), events.store_rows, events.find_ends)
    return writer, events


def die_after(client: StoreClient, inserts: int) -> None:
    """The process dies before its INSERT number `inserts` + 1."""
    insert, done = client.insert, 0

    def counted(*args: Any) -> None:
        nonlocal done
        if done == inserts:
            raise KeyboardInterrupt
        done += 1
        insert(*args)

    client.insert = counted  # type: ignore[method-assign]
