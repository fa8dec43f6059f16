import json

from schemas.runtime import Home
from tests.console.conftest import Run
from tests.console.test_dead_letters import Put, letter_of, put
from tests.processors.pipeline import Proxy, make_event

__all__ = ["put"]


def test_list_and_redrive(custody: Run, home: Home, put: Put) -> None:
    proxy = Proxy(home, "proxy-of-commands")
    ids = [put(letter_of(proxy.seal(0, [make_event(1)]))), put(letter_of(b"", "undecodable: not an EventBatch"))]
    listed = {each["id"]: each for each in map(json.loads, custody("dead-letter", "list", "--json").out.splitlines())}
    first, second = (listed[id] for id in ids)
    assert (first["proxy_id"], first["obstacle"], first["origin"]["offset"]) == ("proxy-of-commands", "", 7)
    assert (second["bytes"], second["obstacle"]) == (0, "its bytes were not kept")
    shown = custody("dead-letter", "list").out
    assert "may be redriven" in shown and "its bytes were not kept" in shown
    answer = custody("dead-letter", "redrive", str(ids[0]), "--by", "dana@example.test")
    assert answer.code == 0 and answer.out.startswith(f"dead letter {ids[0]} is raw record 0/")
    again = json.loads(custody("dead-letter", "redrive", str(ids[0]), "--json").out)
    assert again["redriven"]["partition"] == 0 and again["id"] == ids[0]
    refused = custody("dead-letter", "redrive", str(ids[1]))
    assert (refused.code, refused.out) == (2, "")
    assert refused.err == f"custody: dead letter {ids[1]} would be refused again: its bytes were not kept\n"


def test_bad_input(custody: Run, home: Home) -> None:
    assert custody("dead-letter", "redrive").code == 2
    assert custody("dead-letter", "redrive", "x").code == 2
    assert "no dead letter 99999999" in custody("dead-letter", "redrive", "99999999").err
