import json

from schemas.runtime import Home
from tests.console.conftest import Run


def test_add_list_lift(custody: Run, home: Home) -> None:
    added = custody(
        "quarantine", "add", "agent", "console wild/1", "--reason", "it ran wild", "--as", "bob@example.test"
    )
    assert (added.code, added.out) == (0, "agent console wild/1 quarantined\n")
    (entry,) = [each for each in json.loads(custody("quarantine", "list", "--json").out) if "wild/1" in each["name"]]
    assert (entry["kind"], entry["reason"], entry["by"]) == ("agent", "it ran wild", "bob@example.test")
    assert "it ran wild" in custody("quarantine", "list").out
    assert custody("quarantine", "lift", "agent", "console wild/1").code == 0
    again = custody("quarantine", "lift", "agent", "console wild/1")
    assert (again.code, "is not quarantined" in again.err) == (2, True)
    assert "wild/1" not in custody("quarantine", "list").out


def test_bad_input(custody: Run, home: Home) -> None:
    assert custody("quarantine", "add", "resource", "x", "--reason", "y").code == 2
    assert "Missing option '--reason'" in custody("quarantine", "add", "agent", "x").err
    assert custody("quarantine", "add", "agent", "", "--reason", "y").err.startswith("custody: quarantine: name: ")
    assert custody("quarantine", "add", "agent", "x", "--reason", "y" * 2000).code == 2


def test_a_session_is_named_whole_or_looked_for_in_the_store(custody: Run, home: Home) -> None:
    whole = "0f" * 16
    assert custody("quarantine", "add", "session", whole, "--reason", "wild").out == f"session {whole} quarantined\n"
    assert custody("quarantine", "lift", "session", whole).code == 0
    answer = custody("quarantine", "add", "session", whole[:6], "--reason", "wild")
    assert answer.code == 2  # no store of this home can be asked
    assert whole[:6] not in custody("quarantine", "list").out
