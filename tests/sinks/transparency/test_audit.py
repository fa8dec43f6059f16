"""Each leaf in exactly one state; what adds up and what does not. Pure."""

from typing import Any

import pytest

from sinks.transparency.audit import KAFKA_RETENTION_US, Auditor, Found, Ledger, State
from sinks.transparency.leaf import BatchLeaf, Coordinates, EventLeaf, commit
from sinks.transparency.orders import DAY_US, Holds, HoldSpan, Orders, day_of

DAY = 20_000 * DAY_US  # 2024-10-04
NOW = DAY + 400 * DAY_US
FOUND = Found(b"o" * 16, b"record")


def event(seq: int = 1, *, offset: int = 0, position: int = 0, at: int = DAY, kind: str = "action.requested",
          session: str = "s-1") -> EventLeaf:  # fmt: skip
    return EventLeaf(
        Coordinates("log", 0, offset), position, seq, at, kind, session, "standard", commit(b"o" * 16, b"record")
    )


def action(verb: str, *, order_id: str = "standard/2024-10-04", at: int = NOW, **evidence: str) -> dict[str, Any]:
    return {
        "order_id": order_id, "action": verb, "retention_class": "standard", "day": "2024-10-04", "at": at,
        "reason": "max age", "evidence": evidence, "rows": 0,
    }  # fmt: skip


def judge(found: Found | None, *actions: dict[str, Any], leaf: EventLeaf | None = None, **options: Any) -> State:
    orders = Orders(options.pop("minimums", None))
    for index, item in enumerate(actions):
        orders.note_action(index, item)
    return Auditor(orders, options.pop("now", NOW), **options).judge(0, leaf or event(), found)


EXPIRE = action("expire", max_age_days="365", min_age_days="30")
ERASE = action("erase", order_id="e-1", session_id="s-1", by="ann", approved_by="bob")


def test_each_leaf_has_exactly_one_state() -> None:
    assert judge(FOUND) is State.PRESENT
    assert judge(Found(b"o" * 16, b"other")) is State.ALTERED
    assert judge(Found(b"p" * 16, b"record")) is State.ALTERED
    assert judge(Found(b"o" * 16, b"record", "its columns differ")) is State.ALTERED
    assert judge(Found(b"o" * 16, b"record", is_held=True), EXPIRE, action("done")) is State.HELD
    assert judge(None) is State.MISSING
    assert judge(None, is_pending=lambda leaf: True) is State.PENDING
    assert judge(None, EXPIRE) is State.EXPIRED
    assert judge(None, EXPIRE, leaf=event(at=DAY + DAY_US)) is State.MISSING
    assert judge(None, EXPIRE, action("refused")) is State.MISSING
    assert judge(None, ERASE, now=NOW + KAFKA_RETENTION_US - 1) is State.ERASING
    assert judge(None, ERASE, now=NOW + KAFKA_RETENTION_US) is State.ERASED
    assert judge(None, ERASE, leaf=event(session="s-2")) is State.MISSING


def test_an_erasure_permits_what_it_names_and_no_more() -> None:
    some = action("erase", order_id="e-1", session_id="s-1", by="ann", approved_by="bob", seqs="1,4-6")
    late = NOW + KAFKA_RETENTION_US
    seen = [judge(None, some, leaf=event(seq), now=late) for seq in range(1, 8)]
    assert [state is State.ERASED for state in seen] == [True, False, False, True, True, True, False]
    for change in ({"approved_by": "Ann "}, {"by": ""}, {"seqs": "1;2"}, {"min_age_days": "x"}):
        refused = {**some, "evidence": {**some["evidence"], **change}}
        assert judge(None, refused, now=late) is State.MISSING, change
        assert judge(None, refused, ERASE, now=late) is State.ERASED
    # Inside a least age, by the order's own word or by the reader's.
    young = {**some, "at": DAY + 30 * DAY_US, "evidence": {**some["evidence"], "min_age_days": "30"}}
    assert judge(None, young, now=late) is State.ERASED
    assert judge(None, {**young, "at": young["at"] - 1}, now=late) is State.MISSING
    assert judge(None, young, minimums={"standard": 31}, now=late) is State.MISSING


def test_a_hold_forbids_what_was_ordered_after_it() -> None:
    def gone(placed: int, released: int | None, *actions: dict[str, Any], **span: Any) -> State:
        holds = Holds([HoldSpan("h", placed, released, **{"sessions": frozenset({"s-1"}), **span})])
        return judge(None, *actions, holds=holds)

    for order in (EXPIRE, ERASE):
        lawful = State.EXPIRED if order is EXPIRE else State.ERASING
        padding = [action("done", order_id="x"), action("done", order_id="x")]
        done = action("done", order_id=order["order_id"])
        orders = [*padding, order, *padding[:1], done]  # the order is leaf 2, its end leaf 4
        assert gone(1, None, *orders) is State.MISSING
        assert gone(1, 5, *orders) is State.MISSING
        assert gone(1, 3, *orders) is lawful  # released before it was done
        assert gone(3, None, *orders) is lawful  # placed while it was carried out
        assert gone(1, None, *orders, sessions=frozenset({"s-2"})) is lawful
        assert gone(1, None, *orders, until=DAY) is lawful
        assert gone(1, None, *orders, sessions=None, since=DAY) is State.MISSING
    # A later order, after the release, is good again.
    first = [action("done", order_id="x"), EXPIRE, action("done")]
    again = action("expire", order_id="standard/2024-10-04/2", max_age_days="365", min_age_days="30")
    assert gone(0, 5, *first) is State.MISSING
    assert gone(0, 5, *first, again) is State.EXPIRED
    assert gone(0, None, *first, again) is State.MISSING
    present = Holds([HoldSpan("h", 1, None, None)])
    assert judge(FOUND, holds=present) is State.HELD and judge(FOUND, holds=Holds()) is State.PRESENT


def test_expiring_a_moment_early_is_not_permitted() -> None:
    due = DAY + 366 * DAY_US  # 365 days after the end of the day
    assert judge(None, {**EXPIRE, "at": due}) is State.EXPIRED
    assert judge(None, {**EXPIRE, "at": due - 1}) is State.MISSING
    assert judge(None, {**EXPIRE, "at": due}, minimums={"standard": 365}) is State.EXPIRED
    assert judge(None, {**EXPIRE, "at": due}, minimums={"standard": 366}) is State.MISSING
    for evidence in ({}, {"max_age_days": "x", "min_age_days": "0"}):
        assert judge(None, {**EXPIRE, "evidence": evidence}) is State.MISSING


@pytest.mark.parametrize("at", [DAY, DAY + DAY_US - 1])
def test_a_day_is_the_utc_day_whole(at: int) -> None:
    assert day_of(at) == "2024-10-04"
    assert judge(None, EXPIRE, leaf=event(at=at)) is State.EXPIRED
    assert day_of(1_709_164_800_000_000 + DAY_US // 2) == "2024-02-29"
    assert day_of(1 << 62) == "9999-12-31" and day_of(-(1 << 62)) == "0001-01-01"


def test_a_good_order_counts_though_a_bad_one_was_given_before() -> None:
    assert judge(None, {**EXPIRE, "at": DAY}, {**EXPIRE, "order_id": "standard/2024-10-04/2"}) is State.EXPIRED


def test_done_without_an_order_and_records_past_their_order_are_found() -> None:
    orders = Orders()
    orders.note_action(0, action("done", order_id="nobody"))
    assert Auditor(orders, NOW).report.findings == ["retention nobody was done without an order"]
    orders = Orders()
    for index, item in enumerate((EXPIRE, action("done"))):
        orders.note_action(index, item)
    auditor = Auditor(orders, NOW)
    assert auditor.judge(0, event(), FOUND) is State.PRESENT and auditor.report.overdue == 1


def ledger_of(*leaves: EventLeaf | BatchLeaf) -> tuple[list[str], dict[str, int]]:
    ledger = Ledger()
    for index, leaf in enumerate(leaves):
        ledger.add(index, leaf)
    return ledger.finish(), ledger.summarize()


def batch(offset: int, events: int, *, seq: int | None = None, epoch: str = "e-1") -> BatchLeaf:
    return BatchLeaf(Coordinates("log", 0, offset), "proxy-1", epoch, offset if seq is None else seq, events)


def test_a_whole_log_adds_up() -> None:
    faults, counts = ledger_of(
        batch(0, 2), event(1, kind="session.opened"), event(2, position=1),
        batch(1, 1), event(3, offset=1, kind="session.closed"),
        batch(2, 1), event(1, offset=2, session="s-2"),
    )  # fmt: skip
    assert faults == []
    assert (counts["sessions"], counts["complete"], counts["open"], counts["events"]) == (2, 1, 1, 4)


def test_a_session_of_a_former_run_is_lost_not_complete() -> None:
    faults, counts = ledger_of(
        batch(0, 1), event(1), batch(1, 1, seq=0, epoch="e-2"), event(1, offset=1, session="s-2")
    )
    assert faults == [] and (counts["lost"], counts["open"], counts["complete"]) == (1, 1, 0)


def test_what_a_spool_drains_late_is_no_hole() -> None:
    faults, _ = ledger_of(
        batch(0, 1, seq=1), event(2), batch(1, 1, seq=0), event(1, offset=1),
    )  # fmt: skip
    assert faults == []


@pytest.mark.parametrize(
    ("leaves", "fault"),
    [
        ((batch(0, 1), event(1), batch(2, 1), event(2, offset=2)), "1 are missing up to 2"),
        ((batch(1, 1, seq=0), event(1, offset=1)), "1 are missing up to 1"),
        ((batch(0, 1, seq=3), event(1)), "3 are missing up to 3"),
        ((batch(0, 2), event(1), batch(1, 0)), "has 1 of 2 events"),
        ((batch(0, 1), event(1), event(2, position=1)), "has 2 of 1 events"),
        ((batch(0, 2), event(1), event(2, position=2)), "does not follow its batch"),
        ((event(1),), "does not follow its batch"),
        ((batch(0, 1), event(3)), "2 of its events are missing"),
        ((batch(0, 2), event(1), event(1, position=1)), "event 1 twice"),
        ((batch(0, 2), event(1, kind="session.closed"), event(2, position=1)), "after its end"),
        ((batch(0, 0), batch(0, 0, seq=1)), "comes twice"),
        ((batch(0, 0), batch(1, 0, seq=0)), "comes twice"),
    ],
)
def test_what_does_not_add_up_is_named(leaves: tuple[EventLeaf | BatchLeaf, ...], fault: str) -> None:
    faults, _ = ledger_of(*leaves)
    assert any(fault in item for item in faults), faults


def test_memory_is_bounded_whatever_the_numbers() -> None:
    faults, _ = ledger_of(batch(0, 1), event(1 << 62))
    assert any(f"{(1 << 62) - 1} of its events are missing" in item for item in faults)
