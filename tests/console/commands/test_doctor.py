import json
from pathlib import Path

import pytest

from tests.console.conftest import Run


def test_lines_and_exit_code(custody: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUSTODY_HOME", str(tmp_path))
    (tmp_path / "custody.yaml").write_text("kafka: {bootstrap: 'broker:9092', security_protocol: SASL_SSL}\n")
    tmp_path.chmod(0o755)
    answer = custody("doctor")
    assert answer.code == 1
    assert "BAD  home: others may read" in answer.out
    tmp_path.chmod(0o700)
    found = json.loads(custody("doctor", "--json").out)
    assert {
        "check": "java",
        "health": "fine",
        "detail": "not needed: kafka.bootstrap names a broker",
        "advice": "",
    } in found
