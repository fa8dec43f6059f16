"""Duplicates are told from late arrivals, within bounds."""

import json

from hypothesis import given
from hypothesis import strategies as st

from processors import epochs
from processors.epochs import EpochLedger


def test_order_jump_late_duplicate() -> None:
    ledger = EpochLedger()
    assert ledger.judge("e", 0) == "next"
    ledger.add("e", 0)
    assert ledger.judge("e", 0) == "duplicate"
    assert ledger.judge("e", 4) == "jump"
    ledger.add("e", 4)
    assert ledger.expected("e") == 5
    assert [ledger.judge("e", seq) for seq in range(6)] == ["duplicate", "late", "late", "late", "duplicate", "next"]
    ledger.add("e", 2)
    assert [ledger.judge("e", seq) for seq in range(1, 4)] == ["late", "duplicate", "late"]
    assert ledger.judge("other", 0) == "next"
    assert ledger.judge("other", 3) == "jump"


def test_it_is_bounded() -> None:
    ledger = EpochLedger()
    for number in range(epochs.MAX_EPOCHS + 10):
        ledger.add(f"e{number}", 0)
    assert len(ledger.save()) == epochs.MAX_EPOCHS
    assert ledger.judge("e0", 1) == "jump"
    for seq in range(0, 1000, 2):
        ledger.add("x", seq)
    assert len(ledger.save()[-1][2]) == epochs.MAX_MISSING


@given(st.lists(st.integers(0, 40), max_size=60))
def test_a_batch_is_accepted_once_whatever_the_order(seqs: list[int]) -> None:
    ledger, given_ = EpochLedger(), set[int]()
    for seq in seqs:
        arrival = ledger.judge("e", seq)
        assert (arrival == "duplicate") == (seq in given_)
        if arrival != "duplicate":
            given_.add(seq)
            ledger.add("e", seq)
        ledger = EpochLedger(json.loads(json.dumps(ledger.save())))
