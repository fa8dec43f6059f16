from collections.abc import Callable

from sinks.clickhouse.client import StoreClient
from sinks.clickhouse.progress import ProgressLedger
from sinks.origins import Position


def test_the_highest_offset_of_the_last_log_counts(connect: Callable[[], StoreClient], log_id: str) -> None:
    ledger = ProgressLedger(connect(), f"sink-{log_id}")
    assert ledger.read() == {} and ledger.read_intents() == {}
    ledger.write({})
    ledger.write({0: Position("a", 5), 1: Position("a", 9)}, {0: Position("a", 7)})
    ledger.write({0: Position("a", 3)})
    assert ledger.read() == {0: Position("a", 5), 1: Position("a", 9)}
    assert ledger.read_intents() == {0: Position("a", 7)}
    ledger.write({0: Position("b", 1)})
    assert ledger.read() == {0: Position("b", 1), 1: Position("a", 9)}
