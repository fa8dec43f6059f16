import json

from schemas.runtime import Home
from schemas.wire.mint import mint_secret
from tests.console.conftest import Run


def test_issue_list_revoke(custody: Run, home: Home) -> None:
    issued = json.loads(custody("agent", "credential", "--agent", "console-bot", "--resource", "*", "--ttl", "5m").out)
    assert issued["secret"] == mint_secret(home.read_key("mint.key"), issued["id"], issued["expires_at"])
    listed = custody("agent", "list")
    assert issued["id"] in listed.out
    assert issued["secret"] not in listed.out
    assert custody("agent", "revoke", issued["id"]).code == 0
    assert issued["id"] not in custody("agent", "list").out
    states = {entry["id"]: entry["state"] for entry in json.loads(custody("agent", "list", "--all", "--json").out)}
    assert states[issued["id"]] == "revoked"


def test_bad_input(custody: Run, home: Home) -> None:
    assert "no resource 'nowhere'" in custody("agent", "credential", "--agent", "a", "--resource", "nowhere").err
    assert custody("agent", "credential", "--agent", "", "--resource", "*").err.startswith(
        "custody: credential: agent: "
    )
    assert "no credential 'x-1'" in custody("agent", "revoke", "x-1").err
