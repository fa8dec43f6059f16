"""Heads of a log as messages: each once, none older, and a log that shrank is said."""

import base64
from pathlib import Path

from schemas.config import Settings
from schemas.runtime import Home
from sinks.origins import Position
from sinks.siem.heads import HeadWatch
from sinks.siem.rfc5424 import MAX_MESSAGE_BYTES, render
from sinks.transparency.place import log_directory
from tests.sinks.transparency.logs import ORIGIN, append, entries, open_log, publish


def watch(home: Home, known: Position | None = None) -> HeadWatch:
    found = HeadWatch(Settings.model_validate({"siem": {"checkpoint_interval_s": 1e-9}}), home)
    found.resume(known)
    return found


def test_each_head_once_and_none_older(tmp_path: Path) -> None:
    home = Home(tmp_path)
    heads = watch(home)
    assert heads.look() is None  # there is no log yet
    log = open_log(tmp_path / "transparency")
    assert (tmp_path / "transparency/log") == log_directory(home)
    append(log, entries(0, 3))
    note = publish(log)
    message = heads.look()
    assert message is not None and message.identity == f"{ORIGIN}/3" and message.kind == "checkpoint"
    assert base64.b64decode(message.fields["note_base64"]) == note and message.fields["signed_by"] == ORIGIN
    rendered = render(message, "host", "1")
    assert len(rendered) < MAX_MESSAGE_BYTES and base64.b64encode(note) in rendered
    assert heads.look() is None and watch(home, Position(ORIGIN, 3)).look() is None
    append(log, entries(3, 9))
    publish(log)
    log.close()
    message = watch(home, Position(ORIGIN, 3)).look()
    assert message is not None and message.fields["size"] == "9"
    (log_directory(home) / "checkpoint").write_bytes(note)
    heads = watch(home, Position(ORIGIN, 9))
    assert heads.look() is None and "rolled back" in heads.problem
    (log_directory(home) / "checkpoint").write_bytes(b"nothing")
    assert heads.look() is None and "cannot be read" in heads.problem


def test_it_can_be_switched_off(tmp_path: Path) -> None:
    heads = HeadWatch(Settings.model_validate({"siem": {"checkpoint_interval_s": 0}}), Home(tmp_path))
    log = open_log(tmp_path / "transparency")
    publish(log)
    log.close()
    assert heads.look() is None
