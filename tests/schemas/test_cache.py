"""Private caches: what was kept comes back, and nothing else does."""

import os
from pathlib import Path

import pytest

from schemas import cache
from schemas.cache import PrivateCache


@pytest.fixture
def kept(tmp_path: Path) -> PrivateCache:
    made = PrivateCache(tmp_path / "cache")
    made.keep("one", b"content")
    return made


def test_what_was_kept_is_loaded_and_private(kept: PrivateCache, tmp_path: Path) -> None:
    assert kept.load("one") == b"content"
    assert kept.load("two") is None
    assert (tmp_path / "cache").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "cache" / "one").stat().st_mode & 0o777 == 0o600


def test_no_altered_byte_and_no_torn_file_counts(kept: PrivateCache, tmp_path: Path) -> None:
    path = tmp_path / "cache" / "one"
    whole = path.read_bytes()
    for index in range(len(whole)):
        path.write_bytes(whole[:index] + bytes([whole[index] ^ 1]) + whole[index + 1 :])
        assert kept.load("one") is None
        path.write_bytes(whole[:index])
        assert kept.load("one") is None
    path.write_bytes(whole)
    assert kept.load("one") == b"content"


def test_a_file_under_another_name_does_not_count(kept: PrivateCache, tmp_path: Path) -> None:
    (tmp_path / "cache" / "one").rename(tmp_path / "cache" / "two")
    assert kept.load("two") is None


@pytest.mark.parametrize("mode", [0o640, 0o620, 0o604])
def test_a_file_that_others_may_reach_does_not_count(kept: PrivateCache, tmp_path: Path, mode: int) -> None:
    (tmp_path / "cache" / "one").chmod(mode)
    assert kept.load("one") is None


def test_a_file_of_another_user_does_not_count(kept: PrivateCache, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    assert kept.load("one") is None


def test_links_pipes_and_directories_do_not_count_and_hold_nobody_up(kept: PrivateCache, tmp_path: Path) -> None:
    path = tmp_path / "cache" / "one"
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    assert kept.load("one") is None
    path.unlink()
    os.mkfifo(path, 0o600)
    assert kept.load("one") is None
    path.unlink()
    path.mkdir(mode=0o700)
    assert kept.load("one") is None


def test_what_is_too_large_is_neither_kept_nor_read(
    kept: PrivateCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "MAX_BYTES", 38)
    assert kept.load("one") is None
    kept.keep("two", b"content")
    assert not (tmp_path / "cache" / "two").exists()
    kept.keep("three", b"c" * 6)
    assert kept.load("three") == b"c" * 6


def test_the_oldest_go(tmp_path: Path) -> None:
    kept = PrivateCache(tmp_path)
    for number in range(cache.MAX_FILES + 2):
        kept.keep(f"n{number}", b"x")
        os.utime(tmp_path / f"n{number}", (number, number))
    assert [kept.load(f"n{number}") for number in range(3)] == [None, None, b"x"]


def test_a_disk_that_does_not_take_it_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file in the directory's place")
    kept = PrivateCache(tmp_path / "cache")
    kept.keep("one", b"content")
    assert kept.load("one") is None


def test_what_is_shipped_serves_where_nothing_was_kept_and_is_left_alone(tmp_path: Path) -> None:
    shipped = PrivateCache(tmp_path / "shipped")
    shipped.keep("one", b"shipped")
    shipped.keep("two", b"shipped")
    made = PrivateCache(tmp_path / "cache", tmp_path / "shipped")
    made.keep("one", b"own")
    assert (made.load("one"), made.load("two"), made.load("three")) == (b"own", b"shipped", None)
    made.keep("three", b"own")
    assert sorted(path.name for path in (tmp_path / "shipped").iterdir()) == ["one", "two"]
    (tmp_path / "shipped" / "two").chmod(0o644)  # somebody else could have read it, or written it before
    assert made.load("two") is None
