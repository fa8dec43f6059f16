"""The key holder over its socket, as a process against the real broker."""

import json
import os
import stat
from collections.abc import Iterator

import pytest

from console import tracing
from console.key_rotation import rotate_token
from masking.tokens import TokenKey
from processors.keyholder.service import MAX_BODY_BYTES, BadQuestion, Question, parse_question
from schemas.errors import ConfigError
from schemas.runtime import Home
from tests.processors.keyholder.holder import Holder, quote, run_holder, start_holder
from tests.processors.pipeline import stop, wait_until
from tests.support.homes import connect_home
from tests.support.kafka import Kafka

SECRET = "hunter2-correct-horse-Battery"
CARD = "4111 1111 1111 1111"


@pytest.fixture
def holder(home: Home, kafka: Kafka) -> Iterator[Holder]:
    connect_home(home, kafka, trace={"per_minute": 4, "per_day": 6, "total_per_day": 20})
    with run_holder(home) as running:
        yield running


def test_a_trace_gives_tokens_and_is_recorded_with_them_and_not_with_the_value(holder: Holder) -> None:
    found = tracing.ask(holder.place, CARD.encode(), "ticket 17")
    key = TokenKey(holder.home.read_key("token.key"))
    assert key.token(b"4111111111111111") in found.tokens
    assert key.token(CARD.encode()) in found.tokens
    events = holder.events_of(found.session_id)
    assert [event.kind for event in events] == [
        "session.opened", "action.requested", "action.completed", "session.closed",
    ]  # fmt: skip
    requested, completed = events[1], events[2]
    assert {item.token for item in requested.masked} == set(found.tokens)
    assert {item.label for item in requested.masked} == {"traced"}
    assert (requested.attributes, requested.verdict) == ({"reason": "ticket 17"}, "allow")
    assert (completed.status, completed.rows) == ("answered", len(found.tokens))
    assert events[3].attributes["events"] == "4"


def test_the_value_is_in_no_log_file_and_no_saved_state(holder: Holder) -> None:
    for value in (SECRET, CARD):
        tracing.ask(holder.place, value.encode())
    holder.post(quote(SECRET.encode(), reason=f"about {SECRET}"))
    holder.post(json.dumps({"value": SECRET, "surplus": SECRET}).encode())
    holder.post(quote(SECRET.encode()), login="wrong")
    for path in holder.home.root.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert not any(text in data for text in (SECRET.encode(), b"4111 1111", b"41111111")), path
    trail = repr(holder.trail())
    assert SECRET not in trail and "4111 1111" not in trail


def test_a_rotated_key_is_taken_up_noted_and_old_tokens_are_still_given(holder: Holder) -> None:
    before = tracing.ask(holder.place, SECRET.encode()).tokens
    rotated = rotate_token(holder.place)
    wait_until(lambda: "the token key was rotated" in holder.log_text())
    after = tracing.ask(holder.place, SECRET.encode()).tokens
    assert set(before) < set(after)
    assert after[0] == TokenKey(holder.home.read_key("token.key")).token(SECRET.encode())
    noted = [event.attributes for _, event in holder.trail() if event.kind == "key.rotated"]
    assert [(item["purpose"], item["key"]) for item in noted] == [("token", rotated.name)]


def test_guessing_is_limited_recorded_and_no_restart_helps(holder: Holder) -> None:
    answers = [holder.post(quote(f"078-05-{number:04d}".encode())) for number in range(8)]
    assert [status for status, _, _ in answers] == [200] * 4 + [429] * 4
    assert 0 < int(answers[-1][1]["Retry-After"]) <= 60
    with pytest.raises(tracing.TraceRefused, match=r"rate limited; ask again in \d+ s"):
        tracing.ask(holder.place, b"078-05-9999")
    assert stop(holder.process) == 0
    again = start_holder(holder.home)
    try:
        assert again.post(quote(b"078-05-1120"))[0] == 429
    finally:
        assert stop(again.process) == 0
    refused = [event for _, event in holder.trail() if event.kind == "action.decided"]
    assert [event.verdict for event in refused] == ["deny"] * 6
    assert not any(event.masked for event in refused)


def test_who_has_no_login_learns_nothing_and_that_is_recorded(holder: Holder) -> None:
    for login in ("", "wrong", holder.home.read_secret("keyholder/api.password")):
        status, _, body = holder.post(quote(SECRET.encode()), login=login)
        assert status == 401 and b"token" not in body
    status, _, body = holder.post(
        quote(SECRET.encode()),
        login=holder.home.read_secret("keyholder/api.password"),
        **{"X-Custody-Principal": "dana@example.com"},
    )
    assert status == 200
    session_id = json.loads(body)["session_id"]
    contexts = {context.session_id: context for context, _ in holder.trail()}
    assert (contexts[session_id].principal, contexts[session_id].agent) == ("dana@example.com", "custody-api")
    assert [event.status for _, event in holder.trail() if event.kind == "action.completed"].count(
        "unknown_caller"
    ) == 3


def test_only_the_owner_reaches_the_socket(holder: Holder) -> None:
    assert stat.S_IMODE((holder.home.run / "keyholder.sock").stat().st_mode) == 0o600


def test_bad_and_huge_requests_are_refused_and_cost_nothing(holder: Holder) -> None:
    assert holder.post(b"x" * (MAX_BODY_BYTES + 1))[0] == 413
    assert holder.post(b"{")[0] == 400
    with pytest.raises(ConfigError, match="must not hold the value"):
        tracing.ask(holder.place, SECRET.encode(), f"is {SECRET.upper()} known?")
    assert tracing.ask(holder.place, SECRET.encode()).left_today == 5


def test_no_record_no_answer(own_kafka: Kafka, bare_home: Home) -> None:
    connect_home(bare_home, own_kafka, capture={"audit_timeout_s": 1.0})
    with run_holder(bare_home) as holder:
        assert holder.post(quote(b"before"))[0] == 200
        own_kafka.broker.stop()
        status, _, body = holder.post(quote(SECRET.encode()))
        assert status == 503 and b"tokens" not in body
        own_kafka.broker.start()
        wait_until(lambda: holder.post(quote(SECRET.encode()))[0] == 200, every_s=1.0)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "JSON"),
        (b"[" * 60_000, "JSON"),
        (b"[]", "object"),
        (b'{"value": "x", "key": 1}', "object"),
        (b"{}", "either"),
        (b'{"value": "x", "value_base64": "eA=="}', "either"),
        (b'{"value": 5}', "text"),
        (b'{"value_base64": "%"}', "base64"),
        (b'{"value": " "}', "bytes"),
        (json.dumps({"value": "x" * 20_000}).encode(), "bytes"),
        (b'{"value": "x", "reason": 1}', "reason"),
        (json.dumps({"value": "x", "reason": "y" * 501}).encode(), "reason"),
    ],
)
def test_a_wrong_question_is_named_without_being_quoted(body: bytes, words: str) -> None:
    with pytest.raises(BadQuestion, match=words):
        parse_question(body)


@pytest.mark.parametrize("seed", range(200))
def test_any_bytes_are_a_question_or_a_clear_refusal(seed: int) -> None:
    try:
        assert repr(parse_question(os.urandom(seed))) == "Question(…)"
    except BadQuestion as error:
        assert str(error)


def test_text_and_base64_are_one_value() -> None:
    forms = [question.forms for question in (parse_question(b'{"value": "a b"}'), parse_question(quote(b"a b")))]
    assert forms[0] == forms[1]
    assert isinstance(parse_question(b'{"value": "\\ud800x"}'), Question)
