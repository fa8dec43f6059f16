"""What the cases do not say: the baseline is frozen for a day, and a ramp within it does not teach it."""

from processors.detection.rows_beyond_past import MAX_EVIDENCE, RULE, _past
from processors.detection.rule import example


def test_a_ramp_within_the_day_is_seen() -> None:
    state = RULE.start()
    for fact in _past(60, 100):
        assert RULE.step(state, fact) is None
    rows, matches = 100.0, 0
    for minute in range(60, 240):
        rows *= 1.03
        matches += RULE.step(state, example(60 * minute, operation="read", rows=int(rows))) is not None
    assert matches >= 1


def test_the_state_stays_small() -> None:
    state = RULE.start()
    for index in range(500):
        RULE.step(state, example(index / 100, operation="read", rows=1))
    assert len(state["evidence"]) == MAX_EVIDENCE
