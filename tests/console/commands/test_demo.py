"""What the demo says when it cannot run; tests/console/demo/test_runner.py runs it."""

from pathlib import Path

import pytest

from tests.console.conftest import Run


def test_a_bad_file_is_one_line(custody: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUSTODY_HOME", str(tmp_path))
    (tmp_path / "custody.yaml").write_text("ports: [1]\n")
    answer = custody("demo")
    assert answer.code == 2
    assert "custody.yaml: ports: " in answer.err
    assert len(answer.err.splitlines()) == 1
