"""What would be erased, what must stay, where copies are: on a real store; orders on the real broker."""

import json
from datetime import timedelta
from typing import Any

import pytest

from console import erasure
from console.control import find_place
from console.erasure import ErasureRefused, Request
from console.store import Store, open_store
from schemas.config import Retention, RetentionClass
from schemas.errors import ConfigError
from schemas.holds import parse_hold
from tests.console.conftest import START, Record, event, session

REQUEST = Request("ann", "bob", "b", "DSR-17")
NOW = 1_800_000_000_000_000


@pytest.fixture
def store(growing: Record) -> Any:
    with open_store(find_place()) as opened:
        yield opened


def test_a_session_goes_whole_and_an_open_one_as_far_as_it_is(growing: Record, store: Store) -> None:
    (closed,) = erasure.find_parts(store, "s1", [])
    assert (closed.seqs, closed.is_whole, closed.is_open, closed.retention_class) == (
        (1, 2, 3, 4, 5),
        True,
        False,
        "standard",
    )
    (order,) = erasure.make_orders([closed], REQUEST, Retention(), NOW)
    assert order.evidence == {
        "session_id": "s1", "by": "ann", "approved_by": "bob", "ground": "17(1)(b)", "min_age_days": "0", "events": "5",
        "reference": "DSR-17",
    }  # fmt: skip
    newest = session("opened", session_id="er-p", agent="proxy-er", proxy_id="proxy-er", proxy_epoch="er2",
                     protocol="custody", opened_at=START + timedelta(seconds=9))  # fmt: skip
    lost = session("opened", session_id="er-lost", proxy_id="proxy-er", proxy_epoch="er1")
    live = session("opened", session_id="er-live", proxy_id="proxy-er", proxy_epoch="er2")
    growing.insert("sessions", [newest, lost, live])
    for name in ("er-lost", "er-live"):
        growing.insert("events", [event(n, "data.sent", 90 + n, session_id=name, log_id="log-er") for n in (1, 2, 4)])
    (lost_part,), (live_part,) = (erasure.find_parts(store, name, []) for name in ("er-lost", "er-live"))
    assert lost_part.is_whole and not live_part.is_whole and live_part.is_open
    (order,) = erasure.make_orders([live_part], REQUEST, Retention(), NOW)
    assert order.evidence["seqs"] == "1-2,4"


def test_a_token_takes_the_whole_of_its_actions(store: Store) -> None:
    (part,) = erasure.find_parts(store, "", ["abc", "other"])
    assert (part.session_id, part.seqs, part.is_whole) == ("s1", (2, 3), False)
    for session_id, tokens in (("", []), ("s1", ["abc"]), ("nobody", []), ("", ["nothing"])):
        with pytest.raises(ConfigError):
            erasure.find_parts(store, session_id, tokens)


def test_holds_and_least_ages_are_named(store: Store) -> None:
    parts = erasure.find_parts(store, "s1", [])
    base = {"authority": "c", "reason": "r", "placed_by": "a", "approved_by": "b", "placed_at": 1, "opening": "00" * 16}
    release = {"released_by": "a", "release_approved_by": "b", "release_reason": "over", "released_at": 2}
    hold = {**base, "agent": "planner"}
    holds = {"h-1": parse_hold("h-1", hold), "h-2": parse_hold("h-2", hold | release)}
    kept = Retention(classes={"standard": RetentionClass(max_age_days=400, presets=["pci-dss-4"])})
    with pytest.raises(ErasureRefused) as caught:
        erasure.check_allowed(store, parts, holds, kept)
    assert "legal hold h-1 keeps 5 events of it" in str(caught.value) and "h-2" not in str(caught.value)
    assert "events of class standard must be kept 366 days (pci-dss-4): not before" in str(caught.value)
    erasure.check_allowed(store, parts, {"h-2": holds["h-2"]}, Retention())


@pytest.mark.parametrize(
    "request_", [Request("ann", "Ann", "a"), Request("", "bob", "a"), Request("ann", "bob", "a", "Mrs. Smith, Bonn")]
)
def test_one_person_and_free_text_are_refused(request_: Request) -> None:
    with pytest.raises(ConfigError):
        request_.check()


def test_copies_are_listed_with_their_end(growing: Record, store: Store) -> None:
    growing.insert("deliveries", [{"sink": "siem-syslog", "target": "siem:6514", "item": "d1", "at": START}])
    copies = {item["where"]: item for item in erasure.list_copies(store, ["s1"], NOW)}
    assert copies["kafka custody.sessions.v1"]["until"] == NOW + 7 * 86_400_000_000
    assert copies["siem-syslog siem:6514"]["what"].startswith("1 messages")
    assert any("backups" in where for where in copies)
    assert json.dumps(list(copies.values()))
