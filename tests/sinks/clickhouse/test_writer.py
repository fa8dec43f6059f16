from collections.abc import Callable

from sinks.clickhouse.client import StoreClient
from sinks.clickhouse.writer import split_by_store_partition
from tests.sinks.batches import DAY_US
from tests.sinks.clickhouse.stored import expected, make, open_writer, stored


def test_a_backlog_of_many_days_goes_in_several_inserts(connect: Callable[[], StoreClient], log_id: str) -> None:
    client = connect()
    batches = make(log_id, 0, [0], events=130, day_step=DAY_US)
    writer, _ = open_writer(client, f"sink-{log_id}")
    writer.load()
    writer.write(batches)
    assert stored(client, log_id) == expected({0: [0]}, 130)


def test_splitting_keeps_every_row_once() -> None:
    parts = split_by_store_partition([("a", day) for day in range(120)] * 2)
    assert len(parts) == 3 and sorted(n for part in parts for n in part) == [*range(240)]
    assert split_by_store_partition([]) == []
    assert split_by_store_partition([("a", 1), ("b", 1)] * 3) == [[]]
