"""The hot modules are compiled by set-up, once for each state of their sources, and a failure is said."""

import sys
from pathlib import Path

import pytest

from deploy import native
from schemas.native import native_dir, read_manifest


def test_what_is_compiled_is_current_and_whole() -> None:
    assert native.is_current(native_dir())
    sources, files = read_manifest()
    assert set(sources) == set(native.MODULES)
    assert {*native.MODULES, f"{native.GROUP}__mypyc"} == set(files)
    assert all(path.is_file() for path in files.values())


def test_all_that_is_compiled_is_loaded_compiled() -> None:
    for module in native.MODULES:
        __import__(module)
        assert (sys.modules[module].__file__ or "").endswith(".so"), module


def test_a_changed_source_is_compiled_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "MODULES", ("schemas.wire.avro",))
    assert not native.is_current(tmp_path / "built")
    native.build(tmp_path / "built")
    assert native.is_current(tmp_path / "built")
    assert list(tmp_path.iterdir()) == [tmp_path / "built"]
    monkeypatch.setattr(native, "hash_source", lambda module: "changed")
    assert not native.is_current(tmp_path / "built")


def test_without_a_compiler_set_up_goes_on_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(native, "native_dir", lambda: tmp_path / "none")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    assert native.main() == 0
    assert "no C compiler" in capsys.readouterr().err


def test_code_that_does_not_compile_is_reported_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(native, "native_dir", lambda: tmp_path / "none")
    monkeypatch.setattr(native, "BUILD", "import sys; sys.exit('no such option')")
    assert native.main() == 0
    assert "could not be compiled and runs interpreted: no such option" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
