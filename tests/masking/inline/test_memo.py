"""Outcomes are remembered under keyed digests: never the value, never beyond the limit, never across what tells."""

import gc

import pytest

from masking.inline.memo import MAX_RESULT_BYTES, MAX_VALUE_BYTES, Memo, Outcome, ResultMemo
from masking.inline.model import MaskOrder, Report, Unreadable
from masking.inline.values import NAMELESS, ValueMasker
from masking.model import MaskedBytes
from tests.masking.inline.helpers import maskers

SECRET = b"AKIA" + b"Q3VWXNPLE7PLAN2B"


def value_masker() -> ValueMasker:
    return maskers().masker_for(MaskOrder())


def test_an_outcome_is_found_again_under_the_same_value_name_and_extent() -> None:
    memo = Memo()
    key = memo.key_of(b"value", "password", is_whole=False)
    assert memo.find(key) is None
    memo.keep(key, MaskedBytes(b"shown"))
    assert memo.find(memo.key_of(b"value", "password", is_whole=False)) == (MaskedBytes(b"shown"),)
    others = ((b"other", "password", False), (b"value", "", False), (b"value", "password", True))
    for value, name, is_whole in others:
        assert memo.find(memo.key_of(value, name, is_whole=is_whole)) is None


def test_that_nothing_was_found_is_remembered_too() -> None:
    memo = Memo()
    key = memo.key_of(b"value", "", is_whole=False)
    memo.keep(key, None)
    assert memo.find(key) == (None,)


def test_the_memory_is_bounded() -> None:
    memo = Memo(3)
    for number in range(10):
        memo.keep(memo.key_of(b"%d" % number, "", is_whole=False), None)
        assert len(memo) <= 3
    memo.forget()
    assert len(memo) == 0


def test_the_memory_of_results_is_bounded_and_tells_forms_apart() -> None:
    memo = ResultMemo(3)
    first = Outcome(None, Report(list))
    memo.keep(memo.key_of(b"form", b"data"), first)
    assert memo.find(memo.key_of(b"form", b"data")) is first
    assert memo.find(memo.key_of(b"for", b"mdata")) is None is ResultMemo().find(memo.key_of(b"form", b"data"))
    for number in range(10):
        memo.keep(memo.key_of(b"", b"%d" % number), first)
        assert len(memo) <= 3
    memo.forget()
    assert len(memo) == 0


def test_a_result_seen_again_is_reported_again_and_not_masked_again() -> None:
    values = value_masker()
    values.forget()
    asked: list[bytes] = []

    def mask(report: Report) -> bytes:
        asked.append(b"")
        outcome = values.mask_content(SECRET)
        assert outcome is not None
        report.add(outcome.findings, "$.key")
        report.unread = "a part of it"
        return outcome.data

    told = []
    for data in (SECRET, SECRET, SECRET + b" ", b"x" * (MAX_RESULT_BYTES + 1), b"x" * (MAX_RESULT_BYTES + 1)):
        report = values.new_report()
        told.append((values.mask_result(b"form", data, report, mask), report.total, report.unread, report.take()))
        assert report.take() == []
    assert told == [told[0]] * 5 and told[0][1:3] == (1, "a part of it") and len(told[0][3]) == 1
    assert len(asked) == 4, "the second was not looked at"
    values.forget()
    values.mask_result(b"form", SECRET, values.new_report(), mask)
    assert len(asked) == 5, "another token key: the masked bytes are others"


def test_a_result_that_cannot_be_masked_is_refused_each_time_with_what_was_found_before() -> None:
    values = value_masker()

    def mask(report: Report) -> bytes:
        outcome = values.mask_content(SECRET)
        report.add(outcome.findings if outcome else ())
        raise Unreadable("not this one")

    for _ in range(2):
        report = values.new_report()
        with pytest.raises(Unreadable):
            values.mask_result(b"form", b"data", report, mask)
        assert report.total == 1


def test_digests_are_keyed_by_process_and_hold_no_value() -> None:
    first, second = Memo(), Memo()
    assert first.key_of(SECRET, "", is_whole=False) != second.key_of(SECRET, "", is_whole=False)


def test_a_masker_gives_the_same_again_and_keeps_no_secret() -> None:
    values = value_masker()
    text = b"key " + SECRET + b" of the day"
    first = values.mask_suspects([text], [NAMELESS], [False])
    assert first == values.mask_suspects([text], [NAMELESS], [False]) == values.mask_values([text], [NAMELESS], [False])
    assert first[0] is not None and SECRET not in first[0].data
    kept = values._memo._known
    assert len(kept) >= 1
    for each in gc.get_referents(*kept.keys(), *(outcome for outcome in kept.values() if outcome)):
        assert not (isinstance(each, bytes) and SECRET in each)


def test_what_is_long_is_looked_at_each_time() -> None:
    values = value_masker()
    values.forget()
    text = b"x " * MAX_VALUE_BYTES + SECRET
    (outcome,) = values.mask_suspects([text], [NAMELESS], [False])
    assert outcome is not None and SECRET not in outcome.data
    assert len(values._memo) == 0


def test_a_name_decides_and_not_the_memory_of_another() -> None:
    values = value_masker()
    plain, named = values.mask_suspects(
        [b"hunter22", b"hunter22"], [values.name_of("city"), values.name_of("password")], [False, False]
    )
    assert plain is None and named is not None
    whole = values.mask_suspects([b"hunter22"], [values.name_of("city")], [True])[0]
    assert whole is not None and b"column" in whole.data
