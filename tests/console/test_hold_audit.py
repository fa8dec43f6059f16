"""Holds as the log has them, joined with control, on a real store."""

from typing import Any

from console.hold_audit import audit_holds, make_span
from console.store import Store
from schemas.holds import LegalHold, encode_payload, parse_hold
from sinks.transparency.leaf import Coordinates, EventLeaf, HoldLeaf, commit
from tests.console.committed import Committed
from tests.sinks.batches import START_US, make_batch

BASE = {
    "authority": "court", "reason": "x", "placed_by": "ann", "approved_by": "bob", "placed_at": 100,
    "opening": "ab" * 16,
}  # fmt: skip
RELEASE = {"released_by": "ann", "release_approved_by": "bob", "release_reason": "over", "released_at": 200}


def hold(**criteria: Any) -> LegalHold:
    return parse_hold("h", {**BASE, **criteria})


def leaf_of(id: str, found: LegalHold, *, is_placed: bool = True) -> HoldLeaf:
    payload = encode_payload(found.payload(as_placed=is_placed)).encode()
    return HoldLeaf(Coordinates("c", 0, 0), id, is_placed, commit(bytes.fromhex(found.opening), payload))


def test_holds_by_agent_and_by_token_know_their_sessions(committed: Committed, reader: Store) -> None:
    committed.store([make_batch(0, 0, 4), make_batch(1, 0, 4)])
    leaves = [EventLeaf(Coordinates("l", 0, 0), 0, 1, START_US, "", f"s-{n}", "standard", b"") for n in (0, 1)]
    wanted = {
        hold(session="s-1"): [False, True],
        hold(agent="planner", session="s-1"): [False, True],
        hold(resource="demo-postgres", agent="planner"): [True, True],
        hold(token="ab12", until=START_US + 1): [True, True],
        hold(token="ab12", agent="other"): [False, False],
        hold(principal="nobody"): [False, False],
        hold(since=START_US + 1): [False, False],
    }
    for item, expected in wanted.items():
        span = make_span(reader, "h", item, 0, None)
        assert [span.takes(leaf) for leaf in leaves] == expected, item


def test_a_hold_and_its_leaf_have_to_agree(reader: Store) -> None:
    placed, released = hold(session="s"), hold(session="s", **RELEASE)
    leaves = [(3, leaf_of("h-1", placed)), (9, leaf_of("h-1", released, is_placed=False))]
    assert audit_holds(reader, leaves, {"h-1": released}, 1000).faults == ()
    assert audit_holds(reader, leaves[:1], {"h-1": released}, 1000).faults == ()  # the release is on its way
    (gone,) = audit_holds(reader, leaves[:1], {}, 1000).faults
    assert gone == "leaf 3: legal hold h-1 is not in control any more"
    (other,) = audit_holds(reader, leaves[:1], {"h-1": hold(session="t")}, 1000).faults
    assert "not what the log committed to" in other
    assert audit_holds(reader, [], {"h-1": placed}, 101).faults == ("legal hold h-1 is not in the log",)
    assert audit_holds(reader, [], {"h-1": placed}, 100).faults == ()  # its leaf may be on its way
    unknown = audit_holds(reader, leaves, None, 1000)
    assert unknown.holds is None and unknown.unknown == 1
