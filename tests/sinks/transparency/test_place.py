"""Which log a home has, and whom it asks."""

import pytest

from schemas.config import Settings
from schemas.errors import ConfigError
from schemas.runtime import Home
from sinks.transparency.note import ED25519, Verifier
from sinks.transparency.place import embedded_witness, find_log, find_origin, keep_origin
from sinks.transparency.quorum import Witness, format_policy
from tests.support.homes import write_settings


def test_the_embedded_witness_is_the_quorum_by_default(bare_home: Home) -> None:
    place = find_log(Settings(), bare_home)
    assert place.verifier == Verifier(place.origin, ED25519, bare_home.read_public("log"))
    assert list(place.policy.witnesses.values()) == [
        Witness("witness", embedded_witness(bare_home), "http://127.0.0.1:18190")
    ]
    assert place.policy.is_met(["witness"]) and not place.policy.is_met([])
    assert place.directory.is_relative_to(bare_home.root) and place.state != place.directory


def test_the_name_outlives_the_key(bare_home: Home) -> None:
    origin = keep_origin(Settings(), bare_home)
    (bare_home.public / "log.pub").write_bytes(bytes(32))
    assert find_origin(Settings(), bare_home) == origin == keep_origin(Settings(), bare_home)
    named = Settings.model_validate({"transparency": {"origin": "logs.example.test/custody"}})
    assert find_origin(named, bare_home) == "logs.example.test/custody"


def test_a_policy_file_names_the_witnesses(bare_home: Home) -> None:
    write_settings(bare_home)
    settings = Settings.model_validate({"transparency": {"policy_file": "log.policy"}})
    with pytest.raises(ConfigError, match=r"log\.policy"):
        find_log(settings, bare_home)
    key = find_log(Settings(), bare_home).verifier
    witness = Witness("elsewhere", embedded_witness(bare_home), "https://witness.example.test")
    (bare_home.root / "log.policy").write_text(format_policy([key], [witness], 1))
    assert list(find_log(settings, bare_home).policy.witnesses) == ["elsewhere"]
    other = Verifier(key.name, ED25519, bytes(32))
    (bare_home.root / "log.policy").write_text(format_policy([other], [witness], 1))
    with pytest.raises(ConfigError, match="does not name this log's key"):
        find_log(settings, bare_home)
