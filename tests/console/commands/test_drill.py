"""`custody drill` on a real store and log: nothing of them changes."""

import json
from collections.abc import Iterator

import pytest

from schemas.runtime import Home
from tests.console.committed import Committed
from tests.console.conftest import Record, Run
from tests.console.evidence.test_export import give_keys
from tests.sinks.batches import make_batch


@pytest.fixture
def committed(record: Record, secrets_home: Home) -> Iterator[Committed]:
    give_keys(record.home, secrets_home)
    made = Committed(record.home)
    batches = [make_batch(0, offset, 6) for offset in range(6)]
    made.store(batches)
    made.commit(batches)
    made.publish()
    yield made
    made.close()


def test_the_drill_catches_all_and_touches_nothing(committed: Committed, custody: Run) -> None:
    directory = committed.home.root / "transparency"
    before = {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()}
    answer = custody("drill", "--json")
    found = json.loads(answer.out)
    assert answer.code == 0 and len(found) == 14 and all(item["by"] for item in found)
    assert before == {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()}
    assert json.loads(custody("verify", "--json").out)[0]["outcome"] == "holds"
    shown = custody("drill").out
    assert "witness needed" in shown and shown.endswith("14 of 14 attacks were caught\n")
