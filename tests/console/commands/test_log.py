"""`custody log` says what any other tool needs to read the log."""

import json
from pathlib import Path

from schemas.config import Settings
from schemas.runtime import Home
from sinks.transparency.note import parse_vkey
from sinks.transparency.place import find_log
from sinks.transparency.quorum import parse_policy
from tests.console.committed import Committed
from tests.console.conftest import Run
from tests.sinks.batches import make_batch
from tests.support.homes import write_settings


def test_directory_origin_and_key(bare_home: Home, custody: Run) -> None:
    write_settings(bare_home)
    empty = json.loads(custody("log", "--json").out)
    assert (empty["size"], empty["witnesses"], empty["is_witnessed"]) == (0, [], False)
    committed = Committed(bare_home)
    committed.commit([make_batch(0, 0, 4)])
    committed.publish()
    committed.close()
    answer = custody("log", "--json")
    told = json.loads(answer.out)
    place = find_log(Settings(), bare_home)
    assert answer.code == 0 and Path(told["directory"]) == place.directory
    assert (told["size"], told["witnesses"], told["is_witnessed"]) == (5, ["witness"], True)
    assert parse_vkey(told["vkey"]) == place.verifier and told["origin"] == place.verifier.name
    assert f"vkey       {told['vkey']}" in custody("log").out
    policy = parse_policy(custody("log", "--policy").out)
    assert policy == place.policy


def test_without_a_home_it_says_so(custody: Run, tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setenv("CUSTODY_HOME", str(tmp_path / "nowhere"))
    answer = custody("log")
    assert answer.code == 2 and "nothing is set up" in answer.err
