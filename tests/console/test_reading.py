"""What the commands and the API both read; the rest is shown where each is tested."""

import pytest

from console import reading
from console.control import Place, find_place
from console.store import open_store
from schemas.config import Settings
from schemas.config import Store as StoreSettings
from schemas.errors import ConfigError, Unreachable
from schemas.runtime import now_us
from tests.console.conftest import Record

DAY_US = 86_400_000_000


def test_sessions_carry_what_happened_in_them(filled: Record) -> None:
    with open_store(find_place()) as store:
        found = reading.list_sessions(store, since_us=now_us() - DAY_US, until_us=now_us(), limit=1000, agent="planner")
    told = [(row["session_id"], row["actions"], row["refused"]) for row in found]
    assert [each for each in told if each[0] == "s1"] == [("s1", 2, 1)]  # the store is shared with other tests


def test_a_session_is_found_by_how_its_id_begins(filled: Record) -> None:
    with open_store(find_place()) as store:
        assert reading.find_session(store, "s1")["agent"] == "planner"
        assert reading.find_session(store, "proxy-tcp")["session_id"] == "proxy-tcp-e1"
        with pytest.raises(ConfigError, match="several sessions"):
            reading.find_session(store, "s")
        with pytest.raises(ConfigError, match="no session"):
            reading.find_session(store, "zz")


def test_the_beginning_of_an_id_becomes_the_whole_and_a_whole_id_asks_nobody(filled: Record) -> None:
    assert reading.complete_session(find_place(), "proxy-tcp") == "proxy-tcp-e1"
    with pytest.raises(ConfigError, match="no session"):
        reading.complete_session(find_place(), "zz")
    nobody = Place(filled.home, Settings(store=StoreSettings(url="http://127.0.0.1:1")))
    for whole in ("0f" * 16, "keyholder-" + "0f" * 16):
        assert reading.complete_session(nobody, whole) == whole
    with pytest.raises(Unreachable):
        reading.complete_session(nobody, "0f")


def test_a_page_goes_on_after_the_last(filled: Record) -> None:
    with open_store(find_place()) as store:
        assert [row.seq for row in reading.read_page(store, "s1", 0, 3)] == [1, 2, 3]
        assert [row.seq for row in reading.read_page(store, "s1", 3, 3)] == [4, 5]


def test_detections_are_of_at_least_a_severity(filled: Record) -> None:
    with open_store(find_place()) as store:
        span = {"since_us": now_us() - DAY_US, "until_us": now_us(), "limit": 5}
        assert len(reading.list_detections(store, severity="high", **span)) == 1
        assert reading.list_detections(store, severity="critical", **span) == []


def test_an_answer_is_bounded() -> None:
    pieces = [b"x" * 20] * 2
    assert b"".join(reading.bounded(pieces, 40, "add LIMIT")) == b"x" * 40
    with pytest.raises(ConfigError, match="larger than 39 bytes: add LIMIT"):
        list(reading.bounded(pieces, 39, "add LIMIT"))
