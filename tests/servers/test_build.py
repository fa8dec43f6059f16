"""The builder itself: what it would build follows from what it is built from."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers import build

ROOT = Path(__file__).parents[2]


def test_a_changed_source_is_another_tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUSTODY_CACHE", str(tmp_path))
    assert build.fsck().path == tmp_path / "fsck-v1.0.4" / "fsck"
    before = build.checker().path
    for name in ("go.mod", "go.sum", "main.go"):
        (tmp_path / name).write_bytes((build.CHECKER / name).read_bytes())
    monkeypatch.setattr(build, "CHECKER", tmp_path)
    assert build.checker().path == before
    (tmp_path / "main.go").write_text("package main\n")
    assert build.checker().path != before


def test_without_go_it_says_what_is_missing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.servers.build"],
        cwd=ROOT, env={"PATH": str(tmp_path)}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1 and "Go is not installed" in done.stderr


def test_the_provider_is_another_one_when_its_lock_file_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUSTODY_CACHE", str(tmp_path))
    before = build.oidc_provider().path
    for name in build.OIDC_FILES:
        (tmp_path / name).write_bytes((build.OIDC / name).read_bytes())
    monkeypatch.setattr(build, "OIDC", tmp_path)
    assert build.oidc_provider().path == before
    (tmp_path / "package-lock.json").write_text("{}")
    assert build.oidc_provider().path != before


def test_openbao_is_another_one_when_its_hash_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUSTODY_CACHE", str(tmp_path))
    before = build.openbao().path
    assert before.name == "bao" and build.openbao().path == before
    monkeypatch.setattr(build, "OPENBAO_HASH", "sha256:" + "0" * 64)
    assert build.openbao().path != before
