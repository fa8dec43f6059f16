import json
from pathlib import Path

import pytest
import yaml

from tests.console.conftest import Run


@pytest.fixture(autouse=True)
def empty_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUSTODY_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)


def test_show(custody: Run, tmp_path: Path) -> None:
    (tmp_path / "custody.yaml").write_text("ports: {store: 4711}\n")
    assert yaml.safe_load(custody("config", "show").out)["ports"]["store"] == 4711
    assert json.loads(custody("config", "show", "--json").out)["kafka"]["partitions"] == 4


def test_check_names_every_fault(custody: Run, tmp_path: Path) -> None:
    path = tmp_path / "other.yaml"
    path.write_text("ports: {store: -1, nosuch: 2}\n")
    answer = custody("config", "check", str(path))
    assert answer.code == 2
    assert "ports.store" in answer.err and "ports.nosuch" in answer.err
    path.write_text("{}")
    assert custody("config", "check", str(path)).code == 0


def test_schemas(custody: Run) -> None:
    assert "ports" in json.loads(custody("config", "schema").out)["properties"]
    assert "resources" in json.loads(custody("config", "schema", "resources").out)["properties"]


def test_docs(custody: Run) -> None:
    assert custody("config", "docs").out.startswith("# Configuration\n")
