import json

from schemas.runtime import Home
from tests.console.conftest import Run


def test_keys_are_listed_and_rotated_without_being_shown(bare_home: Home, custody: Run) -> None:
    before = bare_home.read_key("token.key")
    answer = custody("keys", "rotate", "token", "--json")
    assert answer.code == 0
    rotated = json.loads(answer.out)
    listed = custody("keys", "list", "--json")
    shown = [json.loads(line) for line in listed.out.splitlines()]
    assert [(item["purpose"], item["state"]) for item in shown] == [
        ("token", "in use"), ("token", "older"), ("unseal", "in use"),
    ]  # fmt: skip
    assert shown[0]["name"] == rotated["name"]
    assert before.hex() not in answer.out + listed.out
    assert "token.old/" in custody("keys", "rotate", "token").out
    assert "in use" in custody("keys", "list").out
    assert custody("keys", "rotate", "mint").code == 2
