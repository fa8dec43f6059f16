"""The log in a bucket: a fake store for what goes wrong, and MinIO for the real thing (`make test-full`)."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from schemas.config import Transparency
from schemas.errors import ConfigError, ProofError, Unreachable
from schemas.runtime import Home
from sinks.transparency.log import Log, LogReader, read_checkpoint
from sinks.transparency.note import open_checkpoint
from sinks.transparency.s3 import CopiedStorage, S3Storage, open_storage
from sinks.transparency.storage import DirectoryStorage
from tests.servers.build import minio
from tests.sinks.transparency.logs import ORIGIN, VERIFIER, append, entries, publish, write_log
from tests.support.s3 import BUCKET, FakeS3, make_home, make_settings, run_fake_s3, run_minio

REAL_WRITE = S3Storage.write


@pytest.fixture
def fake() -> Iterator[FakeS3]:
    with run_fake_s3() as running:
        yield running


@pytest.fixture
def bucket(fake: FakeS3, tmp_path: Path) -> S3Storage:
    return S3Storage(make_settings(fake.endpoint, "log"), make_home(tmp_path))


def open_copied(directory: Path, settings: Transparency, home: Home) -> tuple[Log, DirectoryStorage | CopiedStorage]:
    storage = open_storage(settings, home, directory / "log")
    log = Log(storage, directory / "state", ORIGIN)
    try:
        log.open()
    except BaseException:
        log.close()
        raise
    return log, storage


def check_store(store: S3Storage) -> None:
    """What any storage of a log does."""
    assert store.read("checkpoint") is None and store.list_widths("tile/0/000") == []
    store.write("tile/0/000.p/3", b"abc")
    store.write("tile/0/000.p/12", b"abcd")
    store.write("tile/0/x001/000.p/7", b"other")
    store.write("tile/0/000.p/3", b"abc")
    with pytest.raises(ProofError, match="another history"):
        store.write("tile/0/000.p/3", b"xyz")
    assert store.read("tile/0/000.p/3") == b"abc"
    assert store.list_widths("tile/0/000") == [3, 12]
    store.delete("tile/0/000.p/3")
    store.delete("tile/0/000.p/3")
    assert store.list_widths("tile/0/000") == [12]
    store.write("checkpoint", b"one", is_durable=True)
    store.write("checkpoint", b"two", is_durable=True)
    assert store.read("checkpoint") == b"two"
    store.sync()


def check_two_writers(first: S3Storage, second: S3Storage) -> None:
    """The one that did not write last finds out."""
    first.write("checkpoint", b"a")
    assert second.read("checkpoint") == b"a"
    second.write("checkpoint", b"b")
    with pytest.raises(ProofError, match="somebody else writes"):
        first.write("checkpoint", b"c")
    assert second.read("checkpoint") == b"b"


def check_log(directory: Path, settings: Transparency, home: Home) -> None:
    """A log grows over restarts, and a reader of the bucket alone gets the same tree."""
    for first, end in ((0, 300), (300, 301), (301, 900)):
        log, _ = open_copied(directory, settings, home)
        append(log, entries(first, end))
        note = publish(log)
        log.close()
        reading = S3Storage(settings, home)
        assert reading.read("checkpoint") == note == DirectoryStorage(directory / "log").read("checkpoint")
        checkpoint = open_checkpoint(note, [VERIFIER])[0]
        reader = LogReader(reading, checkpoint.size)
        assert (checkpoint.size, reader.root_at(checkpoint.size)) == (end, checkpoint.root)
        assert reader.bundle((end - 1) // 256)[(end - 1) % 256] == entries(end - 1, end)[0]
    local = {
        path: DirectoryStorage(directory / "log").read(path)
        for path in DirectoryStorage(directory / "log").list_paths()
    }
    assert {path: reading.read(path) for path in local} == local


def test_objects_are_written_read_listed_and_deleted(bucket: S3Storage) -> None:
    check_store(bucket)


def test_two_writers_find_each_other_out(fake: FakeS3, bucket: S3Storage, tmp_path: Path) -> None:
    check_two_writers(bucket, S3Storage(make_settings(fake.endpoint, "log"), make_home(tmp_path)))


def test_a_log_with_a_copy_in_a_bucket(fake: FakeS3, tmp_path: Path) -> None:
    check_log(tmp_path, make_settings(fake.endpoint, "of/ours"), make_home(tmp_path))
    assert all(key.startswith("of/ours/") for key in fake.objects)


def test_the_checkpoint_comes_after_all_that_it_names(fake: FakeS3, tmp_path: Path) -> None:
    log, _ = open_copied(tmp_path, make_settings(fake.endpoint), make_home(tmp_path))
    append(log, entries(0, 600))
    publish(log)
    log.close()
    puts = [key for method, key in fake.asked if method == "PUT"]
    assert puts[-1] == "checkpoint" and puts.count("checkpoint") == 1
    assert {"tile/0/000", "tile/0/002.p/88", "tile/entries/001", "tile/1/000.p/2"} < set(puts)


@pytest.mark.parametrize("fault", ["refused", "lost"])
def test_whenever_the_bucket_fails_the_log_goes_on_later(fake: FakeS3, tmp_path: Path, fault: str) -> None:
    """At each of its writes once, and the process begins anew each time, as after a kill."""
    home, settings = make_home(tmp_path), make_settings(fake.endpoint)
    size = 0
    for step in range(12):
        log, _ = open_copied(tmp_path, settings, home)
        count = 0

        def write(self: S3Storage, path: str, data: bytes, *, is_durable: bool = False, at: int = step) -> None:
            nonlocal count
            if count == at:
                if fault == "lost":
                    fake.lose = 1
                else:
                    fake.answers = [503]
            count += 1
            REAL_WRITE(self, path, data, is_durable=is_durable)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(S3Storage, "write", write)
            append(log, entries(size, size + 70))
            size += 70
            try:
                publish(log)
            except Unreachable:
                assert count > step
        fake.lose, fake.answers = 0, []
        log.close()
    log, _ = open_copied(tmp_path, settings, home)
    assert log.size == size
    checkpoint = open_checkpoint(publish(log), [VERIFIER])[0]
    log.close()
    assert LogReader(S3Storage(settings, home), size).root_at(size) == checkpoint.root


def test_a_bucket_that_comes_later_gets_what_was_before(fake: FakeS3, tmp_path: Path) -> None:
    write_log(tmp_path, 700)
    settings, home = make_settings(fake.endpoint), make_home(tmp_path)
    log, _ = open_copied(tmp_path, settings, home)
    append(log, entries(700, 720))
    checkpoint = open_checkpoint(publish(log), [VERIFIER])[0]
    log.close()
    assert LogReader(S3Storage(settings, home), 720).root_at(720) == checkpoint.root
    assert LogReader(S3Storage(settings, home), 720).bundle(0) == entries(0, 256)


def test_a_directory_that_was_put_back_is_found_out(fake: FakeS3, tmp_path: Path) -> None:
    settings, home = make_settings(fake.endpoint), make_home(tmp_path)
    log, _ = open_copied(tmp_path / "one", settings, home)
    append(log, entries(0, 500))
    publish(log)
    log.close()
    write_log(tmp_path / "two", 300)
    with pytest.raises(ProofError, match="put back to an older state"):
        open_copied(tmp_path / "two", settings, home)
    write_log(tmp_path / "three", 600)
    fake.objects["tile/0/000"] = b"\0" * 8192
    fake.objects.pop("checkpoint")
    with pytest.raises(ProofError, match="another history"):
        open_copied(tmp_path / "three", settings, home)
    assert "checkpoint" not in fake.objects


def test_what_a_store_answers_is_told(fake: FakeS3, bucket: S3Storage, tmp_path: Path) -> None:
    for status, words in ((500, "answers 500"), (403, "answers 403"), (501, "conditional puts"), (404, "answers 404")):
        fake.answers = [status]
        with pytest.raises(Unreachable, match=words):
            bucket.write("tile/0/000", b"x")
        fake.answers = [status]
        with pytest.raises(Unreachable, match=f"bucket {BUCKET} answers {status}"):
            bucket.list_widths("tile/0/000")
        fake.answers = [status]
        with pytest.raises(Unreachable, match=f"answers {status}"):
            bucket.read("tile/0/000")
    nowhere = S3Storage(make_settings("http://127.0.0.1:1"), make_home(tmp_path))
    with pytest.raises(Unreachable, match="does not answer"):
        nowhere.read("checkpoint")


def test_a_list_that_is_none_is_refused(fake: FakeS3, bucket: S3Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    for document, words in ((b"no xml", "no list"), (b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "entities")):
        monkeypatch.setattr(bucket, "_ask", lambda *_, document=document, **__: (200, document, {}))
        with pytest.raises(Unreachable, match=words):
            bucket.list_widths("tile/0/000")


def test_settings_that_cannot_be_used_are_refused(tmp_path: Path) -> None:
    home = make_home(tmp_path)
    for values, words in (
        ({"storage": "gs://x"}, "s3://bucket"),
        ({"storage": "s3://"}, "s3://bucket"),
        ({"storage": "s3://x", "s3_endpoint": "http://example.com"}, "https"),
        ({"storage": "s3://x", "s3_access_key": "k", "s3_secret_key": "file:none"}, "none"),
    ):
        with pytest.raises(ConfigError, match=words):
            S3Storage(Transparency.model_validate(values), home)
    assert isinstance(open_storage(Transparency(), home, tmp_path), DirectoryStorage)
    aws = S3Storage(Transparency(storage="s3://x/y", s3_region="eu-west-1"), home)
    assert aws._key("tile/0/000") == "https://x.s3.eu-west-1.amazonaws.com/y/tile/0/000"


@pytest.mark.servers
def test_a_real_store(tmp_path: Path) -> None:
    home = make_home(tmp_path)
    with run_minio(minio().path, tmp_path / "minio") as endpoint:
        check_store(S3Storage(make_settings(endpoint, "a"), home))
        check_two_writers(S3Storage(make_settings(endpoint, "b"), home), S3Storage(make_settings(endpoint, "b"), home))
        check_log(tmp_path / "c", make_settings(endpoint, "c"), home)
        assert read_checkpoint(S3Storage(make_settings(endpoint, "c"), home)) is not None
        wrong = S3Storage(make_settings(endpoint, "a", s3_access_key="somebody"), home)
        with pytest.raises(Unreachable, match="answers 403"):
            wrong.read("checkpoint")
