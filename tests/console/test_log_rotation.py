"""`custody log rotate-key`: what it needs before it begins, and that a running stack changes over."""

import pytest

from console.control import find_place
from console.log_rotation import prepare_rotation, rotate, wait_for_key
from schemas.errors import ConfigError
from schemas.runtime import Home
from sinks.transparency.log import read_checkpoint
from sinks.transparency.note import find_signature, parse_note
from sinks.transparency.place import find_log
from sinks.transparency.quorum import find_cosigners, format_policy
from sinks.transparency.storage import DirectoryStorage
from tests.console.conftest import Run
from tests.sinks.running import run_sink
from tests.sinks.transparency.witnessing_home import run_home_witness
from tests.support.homes import connect_home, write_settings
from tests.support.kafka import Kafka
from tests.support.ports import get_free_port


def test_a_policy_file_has_to_name_the_next_key(bare_home: Home) -> None:
    write_settings(bare_home)
    old = find_log(find_place().settings, bare_home)
    write_settings(bare_home, transparency={"policy_file": "log.policy"})
    witnesses = list(old.policy.witnesses.values())
    (bare_home.root / "log.policy").write_text(format_policy(old.keys, witnesses, 1))
    verifier = prepare_rotation(find_place())
    assert prepare_rotation(find_place()) == verifier
    with pytest.raises(ConfigError, match="give it to your witnesses"):
        rotate(find_place())
    (bare_home.root / "log.policy").write_text(format_policy([*old.keys, verifier], witnesses, 1))
    assert rotate(find_place()) == verifier and not wait_for_key(find_place(), verifier, 0)
    write_settings(bare_home, transparency={"signer_command": ["sign"]})
    with pytest.raises(ConfigError, match="signer_command"):
        rotate(find_place())


def test_a_running_log_changes_over_and_its_witness_follows(custody: Run, home: Home, kafka: Kafka) -> None:
    dead = f"http://127.0.0.1:{get_free_port()}"
    ports = {"witness": get_free_port()}
    connect_home(home, kafka, store={"url": dead}, transparency={"checkpoint_interval_ms": 50}, ports=ports)
    with run_home_witness(home), run_sink(home, "transparency", "sink-transparency") as sink:
        sink.wait(lambda: sink.detail())
        answer = custody("log", "rotate-key", "--wait", "60")
        assert answer.code == 0 and answer.out.endswith("  in use\n"), answer
        place = find_log(find_place().settings, home)
        storage = DirectoryStorage(place.directory)

        def is_witnessed() -> bool:
            found = read_checkpoint(storage)
            if found is None:
                return False
            note = parse_note(found[1])
            return find_signature(note, place.verifier) is not None and bool(find_cosigners(note, place.policy))

        assert answer.out.startswith(place.verifier.vkey) and len(place.policy.log_keys) == 2
        sink.wait(is_witnessed)
