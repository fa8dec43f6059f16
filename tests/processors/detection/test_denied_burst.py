"""What the cases do not say: the evidence of a burst."""

from processors.detection.denied_burst import RULE, THRESHOLD, _denied, _failed


def test_the_match_names_every_action_it_rests_on() -> None:
    state = RULE.start()
    facts = [_denied(i) for i in range(THRESHOLD - 1)] + [_failed(20)]
    matches = [match for fact in facts if (match := RULE.step(state, fact))]
    assert len(matches) == 1
    assert len(matches[0].evidence) == THRESHOLD
    assert matches[0].attributes == {"denied": str(THRESHOLD - 1), "failed": "1", "threshold": str(THRESHOLD)}
