"""Export from a real store and log: chosen events, with what is missing among them; then verified by itself."""

import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from console.control import find_place
from console.evidence.export import Selection, export_evidence
from console.store import open_store
from schemas.errors import ConfigError
from schemas.holds import parse_hold
from schemas.runtime import Home
from sinks.transparency.place import find_log
from sinks.transparency.quorum import encode_policy
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
    before = out.read_bytes()
    again = custody("evidence", "export", "--session", "s-0", "--out", str(out))
    assert again.code == 2 and "is there already; --force replaces it" in again.err and out.read_bytes() == before
    custody("evidence", "export", "--session", "s-0", "--out", str(out), "--force")
    assert out.read_bytes() != before
    custody("evidence", "export", "--session", "s-1", "--out", str(out), "--force")
    assert custody("evidence", "verify", str(out)).code == 1


def test_holds_that_concern_the_records_are_in_the_file(
    committed: Committed, secrets_home: Home, tmp_path: Path
) -> None:
    shutil.copy(secrets_home.secrets / "api.key", committed.home.secrets / "api.key")
    base = {"authority": "court", "reason": "x", "placed_by": "ann", "approved_by": "bob", "placed_at": 1}
    release = {"released_by": "ann", "release_approved_by": "bob", "release_reason": "over", "released_at": 2}
    criteria = {"h-1": {"session": "s-1"}, "h-2": {"agent": "planner"}, "h-3": {"session": "another"}}
    placed = {id: {**base, **own, "opening": "ab" * 16} for id, own in criteria.items()}
    for id, payload in placed.items():
        committed.commit_hold(id, payload)
    committed.commit_hold("h-2", placed["h-2"] | release)
    committed.publish()
    known = {id: parse_hold(id, payload) for id, payload in placed.items()}
    known["h-2"] = parse_hold("h-2", placed["h-2"] | release)
    place, out = find_place(), tmp_path / "e.zip"
    with open_store(place) as store:
        for session, states in (("s-1", {"held": 18}), ("s-0", {"present": 18})):
            report = export_evidence(store, place.settings, committed.home, Selection(session), out, lambda: known)
            assert report.exit_code == 0 and dict(report.audit.states) == states
            with zipfile.ZipFile(out) as archive:
                disclosed = json.loads(archive.read("holds.json"))
            assert set(disclosed) == ({"h-1", "h-2"} if session == "s-1" else {"h-2"})
            assert report.undisclosed_holds == 3 - len(disclosed)
        # Another hold than the log's is found.
        known["h-2"] = parse_hold("h-2", {**placed["h-2"], "reason": "y"} | release)
        report = export_evidence(store, place.settings, committed.home, Selection("s-1"), out, lambda: known)
        assert report.exit_code == 1 and "legal hold h-2 in the file" in report.audit.findings[0]
        # Without control there is nothing to disclose, and that is said.
        report = export_evidence(store, place.settings, committed.home, Selection("s-1"), out)
        assert report.exit_code == 0 and report.undisclosed_holds == 3


def test_who_knows_the_first_key_can_follow_to_the_last(committed: Committed, custody: Run, tmp_path: Path) -> None:
    first = encode_policy(find_log(find_place().settings, committed.home).policy)
    (tmp_path / "first.policy").write_text(first)
    for _ in range(2):
        committed.rotate()
    committed.publish()
    latest = find_log(find_place().settings, committed.home)
    assert len(latest.keys) == 3
    out, script = tmp_path / "e.zip", tmp_path / "verify.py"
    answer = custody("evidence", "export", "--session", "s-1", "--out", str(out), "--json")
    assert answer.code == 0, answer
    assert json.loads(answer.out)["states"] == {"present": 18}
    with zipfile.ZipFile(out) as archive:
        script.write_bytes(archive.read("verify.py"))
        files = {name: archive.read(name) for name in archive.namelist()}
    told = custody("evidence", "verify", str(out), "--policy", str(tmp_path / "first.policy"))
    assert told.code == 0 and latest.verifier.vkey in told.out, told
    argv = [sys.executable, "-I", str(script), str(out), "--policy", str(tmp_path / "first.policy")]
    alone = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert (alone.returncode, latest.verifier.vkey in alone.stdout) == (0, True), alone
    # The last key alone is known: what came before is not his to judge.
    (tmp_path / "last.policy").write_text(first.replace(first.split()[1], latest.verifier.vkey))
    assert custody("evidence", "verify", str(out), "--policy", str(tmp_path / "last.policy")).code == 0
    # Without the chain nothing leads from the first key to the head's.
    with zipfile.ZipFile(tmp_path / "cut.zip", "w") as archive:
        for name, data in files.items():
            if name != "keys.json":
                archive.writestr(name, data)
    assert (
        custody("evidence", "verify", str(tmp_path / "cut.zip"), "--policy", str(tmp_path / "first.policy")).code == 2
    )
    assert custody("drill").code == 0


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
