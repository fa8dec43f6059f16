import gzip
from pathlib import Path

import pytest

from console.reconcile.sighting import MAX_LINE_BYTES, Reading, read_lines
from schemas.errors import ConfigError


def test_lines_of_plain_and_gzipped_files_one_after_another(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(b"one\r\n\xff\n")
    (tmp_path / "b.log.gz").write_bytes(gzip.compress(b"three\nfour"))
    reading = Reading()
    found = list(read_lines([tmp_path / "a.log", tmp_path / "b.log.gz"], reading))
    assert found == [(1, "one"), (2, "�"), (3, "three"), (4, "four")]
    assert (reading.lines, reading.unread) == (4, 0)


def test_a_line_without_end_costs_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(b"x" * (3 * MAX_LINE_BYTES) + b"\nafter\n")
    reading = Reading()
    assert list(read_lines([tmp_path / "a.log"], reading)) == [(2, "after")]
    assert (reading.unread, reading.unread_lines) == (1, [1])


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    whole = gzip.compress(b"line\n" * 10_000)
    (tmp_path / "cut.gz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "bad.gz").write_bytes(whole[:30] + b"\x00" * 40)
    for name in ("cut.gz", "bad.gz", "none"):
        with pytest.raises(ConfigError, match=f"the evidence {name} cannot be read"):
            list(read_lines([tmp_path / name], Reading()))


def test_many_unread_lines_are_counted_and_few_named() -> None:
    reading = Reading()
    for number in range(100):
        reading.cannot_read(number)
    assert (reading.unread, reading.unread_lines) == (100, list(range(10)))
