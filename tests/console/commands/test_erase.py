"""`custody erase`: what it says and how it ends."""

import json

import pytest

from console.commands.erase import exit_code
from schemas.runtime import Home
from tests.console.conftest import Record, Run
from tests.support.homes import connect_home
from tests.support.kafka import Kafka

ASKED = ("--session", "s1", "--ground", "b", "--by", "ann")


@pytest.fixture
def place(filled: Record, kafka: Kafka) -> Home:
    """A home with the broker and the filled store."""
    connect_home(filled.home, kafka, store={"url": filled.store.url})
    return filled.home


def test_a_dry_run_says_what_would_go_and_where_copies_are(custody: Run, place: Home, secrets_home: Home) -> None:
    import shutil

    shutil.copytree(secrets_home.root / "public", place.root / "public", dirs_exist_ok=True)
    answer = custody("erase", *ASKED, "--approved-by", "bob", "--dry-run")
    assert answer.code == 0, answer.err
    assert "would be ordered  erase-" in answer.out and "the whole session s1; erasing until " in answer.out
    assert "  kafka custody.sessions.v1: goes by itself until " in answer.out
    document = json.loads(custody("erase", *ASKED, "--approved-by", "bob", "--dry-run", "--json").out)
    assert document["is_dry_run"] and document["orders"][0]["events"] == 5 and document["answers"] == []


def test_one_person_is_not_enough(custody: Run, place: Home) -> None:
    answer = custody("erase", *ASKED, "--approved-by", "ANN")
    assert answer.code == 2 and "cannot approve" in answer.err
    answer = custody("erase", *ASKED, "--token", "abc", "--approved-by", "bob")
    assert answer.code == 2 and "a session or tokens" in answer.err


def test_the_exit_code_says_whether_it_went() -> None:
    done, refused = {"action": "done"}, {"action": "refused"}
    assert exit_code(2, [done, done], is_waited=True) == 0 and exit_code(2, [], is_waited=False) == 0
    assert exit_code(2, [done], is_waited=True) == 2 and exit_code(2, [done, refused], is_waited=True) == 1
