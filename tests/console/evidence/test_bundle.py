"""The single file: it runs in an interpreter that has `cryptography` and nothing of Custody, and says the same."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from console.evidence import bundle
from console.evidence.bundle import make_verifier
from sinks.transparency.evidence import describe_report, verify_evidence
from tests.sinks.transparency.filed import POLICY, edit_records, make_files, pack
from tests.sinks.transparency.test_evidence import NOW, whole_batches


def run(script: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """-I: neither the working directory nor the environment adds modules."""
    argv = [sys.executable, "-I", str(script), *arguments]
    return subprocess.run(argv, cwd=script.parent, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "verify.py"
    path.write_text(make_verifier())
    return path


def test_it_needs_the_standard_library_and_cryptography(script: Path) -> None:
    tree = ast.parse(script.read_text())
    roots = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            roots |= {item.name.split(".")[0] for item in node.names}
        elif isinstance(node, ast.ImportFrom):
            roots.add((node.module or "").split(".")[0])
    assert roots - set(sys.stdlib_module_names) == {"cryptography"}


def test_it_is_written_in_the_python_that_it_asks_for(script: Path) -> None:
    ast.parse(script.read_text(), feature_version=(3, 11))
    assert "needs Python 3.11 or newer" in script.read_text()
    with pytest.raises(SyntaxError):
        ast.parse("def f[T](x: T) -> T: ...", feature_version=(3, 11))


def test_an_older_python_is_told_so_and_decides_nothing(script: Path) -> None:
    script.write_text(script.read_text().replace("sys.version_info < (3, 11)", "sys.version_info < (99,)"))
    done = run(script, "evidence.zip")
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "cannot decide: this needs Python 3.11 or newer\n")


def test_without_its_one_package_it_decides_nothing(script: Path) -> None:
    argv = [sys.executable, "-I", "-S", str(script), "evidence.zip"]  # -S: without installed packages
    done = subprocess.run(argv, cwd=script.parent, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "cannot decide: this needs the package `cryptography`\n"


def test_it_says_what_custody_says(script: Path, tmp_path: Path) -> None:
    files = make_files(tmp_path / "log", whole_batches())
    spoiled = edit_records(files, lambda line: {**line, "opening": "00" * 16} if line["index"] == 4 else line)
    (tmp_path / "policy").write_text(POLICY)
    for name, changed, code in (("good.zip", files, 0), ("bad.zip", spoiled, 1)):
        path = pack(tmp_path / name, changed)
        done = run(script, str(path), "--policy", str(tmp_path / "policy"))
        assert (done.returncode, done.stderr) == (code, "")
        assert done.stdout.splitlines() == describe_report(verify_evidence(path, NOW, POLICY))
    unwitnessed = make_files(tmp_path / "log2", whole_batches(), is_witnessed=False)
    assert run(script, str(pack(tmp_path / "u.zip", unwitnessed))).returncode == 2
    (tmp_path / "no.zip").write_text("not a zip")
    done = run(script, str(tmp_path / "no.zip"))
    assert done.returncode == 2 and done.stderr.startswith("cannot decide: ") and "Traceback" not in done.stderr
    done = run(script, str(tmp_path / "nowhere.zip"))
    assert (done.returncode, done.stderr) == (2, "cannot decide: the file cannot be read: No such file or directory\n")


def test_two_modules_with_one_name_cannot_be_put_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle, "MODULES", ("witness", "cosigning", "publisher", "sink"))
    with pytest.raises(RuntimeError, match="both define"):
        make_verifier()
