import stat
from pathlib import Path

import pytest

from console.api.sessions import MAX_PER_PERSON, PREFIX, AlreadyUsed, Sessions, TooMany
from schemas.errors import ConfigError

HOUR_US = 3_600_000_000


class Clock:
    now = 1_800_000_000_000_000

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "api" / "sessions.json"


def begin(sessions: Sessions, clock: Clock, proof: str, who: str = "ann") -> str:
    return sessions.begin(who, ("security",), 3600, proof, clock.now + HOUR_US)[0]


def test_a_session_survives_a_restart_and_ends_at_once(path: Path, clock: Clock) -> None:
    sessions = Sessions(path, clock)
    token = begin(sessions, clock, "proof-1")
    again = Sessions(path, clock)
    found = again.find(token)
    assert found is not None and (found.principal, found.groups) == ("ann", ("security",))
    assert again.end(token) and not again.end(token)
    assert again.find(token) is None and Sessions(path, clock).find(token) is None


def test_the_file_holds_no_token_and_is_private(path: Path, clock: Clock) -> None:
    token = begin(Sessions(path, clock), clock, "proof-1")
    text = path.read_text()
    assert token not in text and token.removeprefix(PREFIX) not in text and "proof-1" not in text
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_it_lasts_as_long_as_it_was_given(path: Path, clock: Clock) -> None:
    sessions = Sessions(path, clock)
    token = begin(sessions, clock, "proof-1")
    clock.now += HOUR_US - 1
    assert sessions.find(token)
    clock.now += 1
    assert sessions.find(token) is None


def test_a_proof_begins_one_session_also_across_a_restart(path: Path, clock: Clock) -> None:
    begin(Sessions(path, clock), clock, "proof-1")
    with pytest.raises(AlreadyUsed):
        begin(Sessions(path, clock), clock, "proof-1")
    begin(Sessions(path, clock), clock, "proof-2")


def test_one_person_fills_no_table(path: Path, clock: Clock) -> None:
    sessions = Sessions(path, clock)
    other = begin(sessions, clock, "other", who="bob")
    tokens = []
    for number in range(MAX_PER_PERSON + 3):
        clock.now += 1
        tokens.append(begin(sessions, clock, f"p{number}"))
    assert [sessions.find(token) is not None for token in tokens] == [False] * 3 + [True] * MAX_PER_PERSON
    assert sessions.find(other)


def test_the_table_is_bounded(path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("console.api.sessions.MAX_SESSIONS", 2)
    sessions = Sessions(path, clock)
    for name in ("a", "b"):
        begin(sessions, clock, name, who=name)
    with pytest.raises(TooMany):
        begin(sessions, clock, "c", who="c")
    clock.now += 2 * HOUR_US
    assert begin(sessions, clock, "c", who="c")


@pytest.mark.parametrize("token", ["", PREFIX, "x", PREFIX + "x" * 43, "\udcff"])
def test_nothing_else_is_a_session(path: Path, clock: Clock, token: str) -> None:
    sessions = Sessions(path, clock)
    begin(sessions, clock, "proof-1")
    assert sessions.find(token) is None and not sessions.end(token)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"sessions": {"a": {}}, "seen": {}}', '{"sessions": []}'])
def test_a_file_that_was_changed_stops_the_start(path: Path, clock: Clock, text: str) -> None:
    path.parent.mkdir(parents=True)
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"sessions\.json"):
        Sessions(path, clock)
