from collections.abc import Callable

from schemas.events import LineageEdge, Origin, Progress
from schemas.topics import DETECTIONS
from schemas.wire import framing
from sinks.clickhouse.client import StoreClient
from sinks.clickhouse.writer import make_lineage_writer, split_by_store_partition
from sinks.records import Record
from tests.sinks.batches import DAY_US, START_US
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


def test_each_lineage_edge_is_stored_once_and_other_records_are_passed_over(
    connect: Callable[[], StoreClient], log_id: str
) -> None:
    client = connect()
    writer = make_lineage_writer(client)
    made = [
        LineageEdge(
            f"{log_id}-{number}", START_US + number, "run", "email", "t" * 16, "db", "s1", 2, START_US, "planner",
            "ann", "mailer", "s2", 3, "executor", "ann", "run-1", Origin("raw", 1, 7), 4,
        )
        for number in range(5)
    ]  # fmt: skip
    items = [*made, Progress("detect", "log", 0, 5, START_US)]
    records = [Record(DETECTIONS, log_id, 0, at, framing.encode(item)) for at, item in enumerate(items)]
    records.append(Record(DETECTIONS, log_id, 0, 6, b"garbage"))
    for token in ("first", "again"):
        writer.store_rows([*records, *records[:2]], f"{token}-{log_id}", False)
    rows = client.query(
        "SELECT edge_id, partition, offset, relation, label, from_resource, from_seq, to_resource, to_seq, to_agent,"
        " origin_offset, origin_position FROM custody.lineage WHERE log_id = {log:String} ORDER BY offset",
        log=log_id,
    )
    assert rows == [
        (f"{log_id}-{number}", 0, number, "run", "email", "db", 2, "mailer", 3, "executor", 7, 4) for number in range(5)
    ]
    assert (writer.rows, writer.unreadable) == (5, 0)  # the detection writer of the same topic names the garbage
