"""What `make setup` compiled ahead is what a first start takes."""

from pathlib import Path

import pytest

from deploy import detectors
from masking.engine import Masker
from masking.tokens import TokenKey
from schemas.cache import PrivateCache, shipped_dir


def test_a_first_start_compiles_nothing(tmp_path: Path) -> None:
    assert detectors.is_current(shipped_dir()), "run `make setup`"
    masker = Masker(tokens=TokenKey(b"k" * 32), kept=PrivateCache(tmp_path / "cache", shipped_dir()))
    assert not (tmp_path / "cache").exists()  # what a start compiles, it keeps
    assert masker.has_candidates(b"4111 1111 1111 1111") and not masker.has_candidates(b"nothing of note")


def test_a_second_run_makes_nothing() -> None:
    before = {path.name: path.stat().st_mtime_ns for path in shipped_dir().iterdir()}
    assert detectors.main() == 0
    assert {path.name: path.stat().st_mtime_ns for path in shipped_dir().iterdir()} == before


def test_what_was_made_of_other_rules_is_not_current(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not detectors.is_current(tmp_path)
    (tmp_path / detectors.STAMP).write_text(detectors.fingerprint())
    assert detectors.is_current(tmp_path)
    monkeypatch.setattr(detectors, "version", lambda _name: "0.0.1")
    assert not detectors.is_current(tmp_path)
