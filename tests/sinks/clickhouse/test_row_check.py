"""Every column of a row against the bytes that its leaf commits to."""

from typing import Any

from sinks.clickhouse.event_rows import EventEncoder, EventRows
from sinks.clickhouse.row_check import find_difference, judge_row
from tests.sinks.batches import make_batch
from tests.sinks.clickhouse.stored import as_batch
from tests.sinks.row_values import row_values


def test_every_column_that_is_committed_is_compared() -> None:
    batch = make_batch(0, 0, 2)
    rows = row_values([batch])
    assert set(rows) == set(EventEncoder().encode(EventRows([as_batch(batch)])).names)
    row = {name: column[1] for name, column in rows.items()}
    assert find_difference(row) == ""
    uncommitted = {"log_id", "partition", "offset", "position", "proxy_id", "proxy_epoch", "batch_seq", "rule_version"}
    for name, value in row.items():
        if name in uncommitted | {"opening", "canonical"}:
            continue
        other: Any = not value if isinstance(value, bool) else value + 1 if isinstance(value, int) else b"other"
        assert name in find_difference({**row, name: other}), name
    assert "cannot be read" in find_difference({**row, "canonical": row["canonical"][:40]})
    assert "no schema" in find_difference({**row, "canonical": b"nothing"})


def test_a_row_that_a_hold_moved_says_of_which_class_it_is() -> None:
    row = {name: column[1] for name, column in row_values([make_batch(0, 0, 2)]).items()}
    moved = {**row, "retention_class": b"held", "held_from": row["retention_class"]}
    assert judge_row(moved).is_held and judge_row(moved).fault == ""
    assert not judge_row(row).is_held
    assert "retention_class" in judge_row({**moved, "held_from": b"short"}).fault
