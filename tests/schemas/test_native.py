"""Compiled forms stand in for their sources only as long as they were made from them."""

import importlib.machinery
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from schemas import native

ASK = "import schemas, schemas.wire.avro as avro; print(schemas.native.is_native(), avro.__file__.endswith('.so'))"


def ask(**variables: str) -> str:
    environment = {**os.environ, **variables}
    return subprocess.run(
        [sys.executable, "-c", ASK], env=environment, cwd=native.ROOT, capture_output=True, text=True, check=True
    ).stdout.strip()


def test_what_setup_compiled_is_used_and_can_be_switched_off() -> None:
    assert ask() == "True True"
    assert ask(CUSTODY_NATIVE="0") == "False False"


def write_manifest(directory: Path, **changes: object) -> None:
    sources = {"schemas.wire.avro": native.hash_source("schemas.wire.avro")}
    manifest = {"suffix": importlib.machinery.EXTENSION_SUFFIXES[0], "sources": sources, "files": {}, **changes}
    (directory / native.MANIFEST).write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    "changes",
    [
        {"sources": {"schemas.wire.avro": "0" * 64}},
        {"sources": {"schemas.wire.no_such_module": "0" * 64}},
        {"sources": {}},
        {"suffix": ".cpython-399.so"},
        {"files": None},
    ],
    ids=["another source", "a source that is gone", "nothing", "another interpreter", "malformed"],
)
def test_anything_else_runs_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, object]
) -> None:
    monkeypatch.setattr(native, "native_dir", lambda: tmp_path)
    others = [finder for finder in sys.meta_path if not isinstance(finder, native.NativeFinder)]
    monkeypatch.setattr(sys, "meta_path", list(others))
    write_manifest(tmp_path)
    assert native.install() and native.is_native()
    sys.meta_path[:] = others
    write_manifest(tmp_path, **changes)
    assert not native.install() and not native.is_native()


def test_without_a_manifest_nothing_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "native_dir", lambda: tmp_path / "absent")
    assert native.read_manifest() == ({}, {})
