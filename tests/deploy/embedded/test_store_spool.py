"""Files of bodies: bounded, private, gone afterwards."""

from pathlib import Path

import pytest

from deploy.embedded.store_errors import QueryError, StoreError
from deploy.embedded.store_spool import Inbox


def test_a_body_is_private_and_gone_afterwards(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path / "inbox", 100)
    inbox.prepare()
    with inbox.open_body() as one, inbox.open_body() as two:
        one.write(b"abc")
        assert one.path != two.path
        assert one.path.read_bytes() == b"abc"
        assert one.path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(RuntimeError), inbox.open_body():
        raise RuntimeError
    assert list(inbox.directory.iterdir()) == []


def test_a_body_is_bounded(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path, 4)
    with pytest.raises(QueryError, match="exceeds 4 bytes"), inbox.open_body() as body:
        body.write(b"abcd")
        body.write(b"e")
    assert list(tmp_path.iterdir()) == []


def test_leftovers_are_cleared_at_start(tmp_path: Path) -> None:
    (tmp_path / "body-7").write_bytes(b"cut off")
    Inbox(tmp_path, 1).prepare()
    assert list(tmp_path.iterdir()) == []


def test_a_path_that_is_a_pattern_is_refused(tmp_path: Path) -> None:
    for name in ("a*", "b?", "{c,d}", "e'f"):
        with pytest.raises(StoreError, match="may not hold"):
            Inbox(tmp_path / name, 1).prepare()
