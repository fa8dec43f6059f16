"""`custody trace` against a real key holder and a real store."""

import io
import json
import sys
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from masking.tokens import TokenKey
from schemas.runtime import Home
from tests.console.conftest import START, Record, Run, event
from tests.processors.keyholder.holder import Holder, run_holder
from tests.support.homes import connect_home
from tests.support.kafka import Kafka
from tests.support.store import Store, connect_store

CARD = "4000 0566 5566 5556"


@pytest.fixture
def holder(home: Home, kafka: Kafka, store: Store) -> Iterator[Holder]:
    connect_home(home, kafka, store={"url": store.url})
    connect_store(home, store)
    with run_holder(home) as running:
        yield running


def type_in(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    stream = io.TextIOWrapper(io.BytesIO(text.encode()))
    monkeypatch.setattr(sys, "stdin", stream)


def fill(store: Store, home: Home, token: str) -> None:
    """A planner saw the card in an answer; its executor sent it on, and once was refused."""
    seen: dict[str, Any] = {
        "log_id": "log-trace",
        "session_id": "t1",
        "agent": "planner",
        "resource": "orders",
        "delegation": [],
    }
    sent: dict[str, Any] = {
        "log_id": "log-trace",
        "session_id": "t2",
        "agent": "executor",
        "resource": "mailer",
        "protocol": "http",
    }
    sent["delegation"] = [("executor", "planner")]
    masked = [("payment_card", 2, token, "payload:card"), ("email", 1, "z" * 16, "payload")]
    Record(store, home).insert(
        "events",
        [
            event(3, "action.completed", 1, masked=masked, **seen),
            event(2, "action.requested", 2, masked=masked[:1], **sent),
            event(4, "action.requested", 3, masked=masked[:1], verdict="deny",
                  **sent),
            event(5, "action.completed", 4, masked=masked[1:], **sent),
        ],
    )  # fmt: skip


def test_who_saw_and_who_sent_a_value(
    holder: Holder, store: Store, custody: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    digits = CARD.replace(" ", "")
    fill(store, holder.home, TokenKey(holder.home.read_key("token.key")).token(digits.encode()))
    type_in(monkeypatch, f"{CARD}\n")
    answer = custody("trace", "--reason", "ticket 17", "--json")
    assert answer.code == 0, answer.err
    document = json.loads(answer.out)
    shown = [{name: row[name] for name in ("agent", "principal", "resource", "session_id", "how", "times", "refused",
                                           "labels")} for row in document["sightings"]]  # fmt: skip
    who = {"principal": "dana@example.com", "labels": ["payment_card"]}
    assert shown == [
        {"agent": "executor", "resource": "mailer", "session_id": "t2", "how": "sent", "times": 4, "refused": 1} | who,
        {"agent": "planner", "resource": "orders", "session_id": "t1", "how": "saw", "times": 2, "refused": 0} | who,
    ]
    type_in(monkeypatch, digits)
    table = custody("trace")
    assert table.code == 0 and "planner" in table.out and "2 agents in 2 sessions" in table.out
    for text in (answer, table):
        assert CARD not in text.out + text.err and digits not in text.out + text.err
    type_in(monkeypatch, digits)
    late = (START + timedelta(minutes=1)).isoformat()
    assert "nobody" in custody("trace", "--since", late).out


def test_an_argument_is_refused_and_not_repeated(bare_home: Home, custody: Run) -> None:
    answer = custody("trace", CARD)
    assert answer.code == 2
    assert "never as an argument" in answer.err and CARD not in answer.err


@pytest.mark.parametrize(
    ("text", "words"), [("", "no value"), ("\n", "no value"), ("x" * 16_385, "at most 16384 bytes")]
)
def test_nothing_and_too_much_are_said(
    bare_home: Home, custody: Run, monkeypatch: pytest.MonkeyPatch, text: str, words: str
) -> None:
    type_in(monkeypatch, text)
    answer = custody("trace")
    assert answer.code == 2 and words in answer.err


def test_without_a_key_holder_it_says_so(bare_home: Home, custody: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    bare_home.run.mkdir(exist_ok=True)
    type_in(monkeypatch, CARD)
    answer = custody("trace")
    assert answer.code == 2 and "key holder does not answer" in answer.err
