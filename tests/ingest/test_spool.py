"""The spool: what `append` returned for survives; a torn tail does not come back; the bound holds."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.spool import DiskSpool
from schemas.errors import AuditUnavailable


def drain(spool: DiskSpool, partition: int) -> list[bytes]:
    found = []
    while (record := spool.first(partition)) is not None:
        found.append(record)
        spool.drop(partition)
    return found


def test_first_in_first_out_per_partition(tmp_path: Path) -> None:
    spool = DiskSpool(tmp_path, 1 << 20)
    for number in range(10):
        spool.append(number % 2, b"record %d" % number)
    assert drain(spool, 0) == [b"record %d" % n for n in range(0, 10, 2)]
    assert spool.count(1) == 5 and spool.first(2) is None


def test_records_survive_the_process(tmp_path: Path) -> None:
    spool = DiskSpool(tmp_path, 1 << 20)
    spool.append(3, b"kept")
    spool.close()
    assert drain(DiskSpool(tmp_path, 1 << 20), 3) == [b"kept"]


def test_a_drained_file_starts_over(tmp_path: Path) -> None:
    spool = DiskSpool(tmp_path, 1 << 20)
    for _ in range(100):
        spool.append(0, b"x" * 1000)
        spool.drop(0)
    assert (tmp_path / "0.spool").stat().st_size == 0


@given(cut=st.integers(1, 40), flip=st.integers(0, 200))
@settings(max_examples=60, deadline=None)
def test_a_torn_or_rotten_tail_is_cut_off(cut: int, flip: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    directory = tmp_path_factory.mktemp("spool")
    spool = DiskSpool(directory, 1 << 20)
    records = [bytes([n]) * 30 for n in range(5)]
    for record in records:
        spool.append(0, record)
    spool.close()
    path = directory / "0.spool"
    data = bytearray(path.read_bytes()[:-cut])
    if flip < len(data):
        data[flip] ^= 0x5A
    path.write_bytes(bytes(data))
    left = drain(again := DiskSpool(directory, 1 << 20), 0)
    assert left == records[: len(left)] and len(left) < 5
    again.append(0, b"next")
    assert drain(again, 0) == [b"next"]
    again.close()


def test_a_full_spool_says_so_and_keeps_what_it_has(tmp_path: Path) -> None:
    spool = DiskSpool(tmp_path, 1000)
    spool.append(0, b"x" * 600)
    with pytest.raises(AuditUnavailable, match="full"):
        spool.append(0, b"x" * 600)
    assert spool.count(0) == 1


def test_files_are_private(tmp_path: Path) -> None:
    DiskSpool(tmp_path / "spool", 1000).append(0, b"x")
    assert (tmp_path / "spool").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "spool" / "0.spool").stat().st_mode & 0o777 == 0o600
