"""`custody evidence` on the command line; what it does is tested with its modules."""

from pathlib import Path

from tests.console.conftest import Run
from tests.sinks.transparency.filed import POLICY, make_files, pack
from tests.sinks.transparency.test_evidence import whole_batches


def test_exit_codes_need_no_home(custody: Run, tmp_path: Path) -> None:
    files = make_files(tmp_path / "log", whole_batches())
    good = pack(tmp_path / "good.zip", files)
    (tmp_path / "policy").write_text(POLICY)
    assert custody("evidence", "verify", str(good), "--policy", str(tmp_path / "policy")).code == 0
    (tmp_path / "policy").write_text("quorum none\n")
    answer = custody("evidence", "verify", str(good), "--policy", str(tmp_path / "policy"))
    assert answer.code == 2 and "needs a log" in answer.err
    (tmp_path / "bad.zip").write_bytes(good.read_bytes()[:-500])
    answer = custody("evidence", "verify", str(tmp_path / "bad.zip"))
    assert answer.code == 2 and answer.err.startswith("custody: ") and len(answer.err.splitlines()) == 1


def test_an_export_of_everything_by_mistake_is_refused(custody: Run) -> None:
    answer = custody("evidence", "export")
    assert answer.code == 2 and "say which events" in answer.err
