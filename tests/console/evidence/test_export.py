"""Export from a real store and log: chosen events, with what is missing among them; then verified by itself."""

import json
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from console.control import find_place
from console.evidence.export import Selection, export_evidence
from console.store import open_store
from schemas.errors import ConfigError
from schemas.runtime import Home
from tests.console.committed import Committed
from tests.console.conftest import Record, Run
from tests.sinks.batches import START_US, make_batch

BATCHES = [make_batch(partition, offset, 6, day_step=1_000_000) for offset in range(3) for partition in range(2)]


def give_keys(home: Home, secrets_home: Home) -> None:
    """The log's and the witness's keys of the run, in a home that has only the store's."""
    (home.root / "public").mkdir(exist_ok=True)
    for name in ("log", "witness"):
        shutil.copy(secrets_home.secrets / f"{name}.key", home.secrets / f"{name}.key")
        shutil.copy(secrets_home.public / f"{name}.pub", home.public / f"{name}.pub")


@pytest.fixture
def committed(record: Record, secrets_home: Home) -> Iterator[Committed]:
    give_keys(record.home, secrets_home)
    made = Committed(record.home)
    made.store(BATCHES)
    made.commit(BATCHES)
    made.publish()
    yield made
    made.close()


def test_what_is_exported_verifies_by_itself(committed: Committed, custody: Run, tmp_path: Path) -> None:
    out = tmp_path / "e.zip"
    answer = custody("evidence", "export", "--session", "s-1", "--out", str(out), "--json")
    told = json.loads(answer.out)
    assert answer.code == 0 and told["states"] == {"present": 18} and told["witnesses"] == ["witness"]
    shutil.move(committed.home.root / "transparency", tmp_path / "elsewhere")  # the file needs neither log nor store
    assert json.loads(custody("evidence", "verify", str(out), "--json").out) == told
    assert "the quorum is met" in custody("evidence", "verify", str(out)).out
    with zipfile.ZipFile(out) as archive:
        names = archive.namelist()
        assert archive.testzip() is None and {"verify.py", "report.html", "README.txt", "policy.txt"} <= set(names)
        assert "SELECT name FROM customers" in archive.read("report.html").decode()
    shutil.move(tmp_path / "elsewhere", committed.home.root / "transparency")


def test_what_was_deleted_is_exported_as_missing(committed: Committed, custody: Run, tmp_path: Path) -> None:
    committed.delete("session_id = 's-1' AND seq IN (4, 5)")
    out = tmp_path / "e.zip"
    answer = custody("evidence", "export", "--session", "s-1", "--out", str(out))
    assert answer.code == 1 and "MISSING: leaf" in answer.out and "16 present" in answer.out
    assert custody("evidence", "verify", str(out)).code == 1


def test_selections(committed: Committed, tmp_path: Path) -> None:
    place = find_place()
    out = tmp_path / "e.zip"
    with open_store(place) as store:

        def export(selection: Selection) -> int:
            report = export_evidence(store, place.settings, committed.home, selection, out)
            assert report.exit_code == 0
            return sum(report.audit.states.values())

        assert export(Selection(agent="planner")) == 36
        # Each batch begins at the same time: what lies between the first and the last event comes along.
        assert export(Selection(since=START_US + 4_000_000)) == 28
        assert export(Selection(since=START_US, until=START_US + 1_000_000)) == 26
        assert export(Selection(session="s-0", until=START_US + 2_000_000)) == 14
        for selection, fault in (
            (Selection(session="s-"), "several sessions"),
            (Selection(session="nobody"), "no event like that"),
            (Selection(agent="nobody"), "no event like that"),
            (Selection(since=START_US * 2), "no event like that"),
        ):
            with pytest.raises(ConfigError, match=fault):
                export(selection)
        with pytest.raises(ConfigError, match="No such file"):
            export_evidence(store, place.settings, committed.home, Selection("s-0"), tmp_path / "no" / "e.zip")
    assert [path.name for path in tmp_path.glob(".e.zip*")] == []
