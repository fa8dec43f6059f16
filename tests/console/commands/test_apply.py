"""On the real broker: `custody apply` and `custody resource` bring control to what is wanted, and say what changed."""

import io
import json
from pathlib import Path

import pytest

from console import control
from schemas.events import ControlKind
from schemas.runtime import Home
from tests.console.conftest import Run

DOCUMENT = """
resources:
  - name: {name}
    protocol: postgres
    listen: {listen}
    upstream: {{host: db, port: 5432, secret: "env:DB_PASSWORD"}}
"""


@pytest.fixture
def document(tmp_path: Path, home: Home) -> Path:
    path = tmp_path / "resources.yaml"
    path.write_text(DOCUMENT.format(name="apply-orders", listen=25511))
    return path


def stored(name: str) -> dict[str, object] | None:
    with control.open_view(control.find_place()) as view:
        return view.get(ControlKind.RESOURCE, name)


def test_only_what_differs_is_written(custody: Run, document: Path) -> None:
    assert custody("apply", "-f", str(document), "--dry-run").out == "resource apply-orders added\n"
    assert stored("apply-orders") is None
    assert custody("apply", "-f", str(document)).out == "resource apply-orders added\n"
    assert custody("apply", "-f", str(document)).out == "nothing to change\n"
    document.write_text(DOCUMENT.format(name="apply-orders", listen=25512))
    answer = custody("apply", "-f", str(document), "--json")
    assert json.loads(answer.out) == [{"kind": "resource", "id": "apply-orders", "action": "changed"}]
    entry = stored("apply-orders")
    assert entry is not None and entry["listen"] == 25512


def test_a_bad_file_changes_nothing_and_names_every_fault(custody: Run, document: Path) -> None:
    document.write_text(DOCUMENT.format(name="Bad Name", listen=99999))
    answer = custody("apply", "-f", str(document))
    assert answer.code == 2
    assert len(answer.err.splitlines()) == 2
    assert ".listen: " in answer.err and ".name: " in answer.err


def test_a_port_of_another_resource_is_refused(custody: Run, document: Path) -> None:
    document.write_text(DOCUMENT.format(name="apply-first", listen=25513))
    assert custody("apply", "-f", str(document)).code == 0
    document.write_text(DOCUMENT.format(name="apply-second", listen=25513))
    answer = custody("apply", "-f", str(document))
    assert answer.code == 2
    assert "both listen on port 25513" in answer.err


def test_faults_of_standard_input_name_it(custody: Run, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("resources: [{name: a, oops: 1}]"))
    answer = custody("apply", "-f", "-")
    assert answer.code == 2
    assert "custody: standard input: resources.0.oops: there is no such key" in answer.err.splitlines()
