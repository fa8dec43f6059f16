from dataclasses import replace

import pytest

from console.verification import Chain, Facts, Outcome, SessionChain, judge, verdicts_exit_code

WHOLE = Facts(
    partitions=(Chain("partition 0", 10, 0, 9),),
    epochs=(Chain("run e1", 4, 0, 3),),
    duplicates={"partition 0": 0},
    sessions=2,
    events=10,
    live_epochs=frozenset({"e1"}),
    ledgers=(
        {"resource": "r", "protocol": "p", "sessions": 1, "from_agent": 60, "from_upstream": 40, "opaque_agent": 10},
    ),
)
OPEN = SessionChain("s2", "e1", 3, 3, 1, 3, 0, 0)


def outcomes(facts: Facts) -> dict[str, Outcome]:
    return {verdict.name: verdict.outcome for verdict in judge(facts)}


def test_a_whole_record() -> None:
    verdicts = judge(WHOLE)
    assert [verdict.name for verdict in verdicts] == ["integrity", "completeness", "coverage"]
    assert outcomes(WHOLE) == {
        "integrity": Outcome.UNPROVABLE, "completeness": Outcome.HOLDS, "coverage": Outcome.HOLDS,
    }  # fmt: skip
    assert verdicts[2].summary == "90.00 % of 100 bytes understood"
    assert verdicts_exit_code(verdicts) == 0


def test_what_policy_cut_short_is_said_and_is_no_violation() -> None:
    verdict = judge(replace(WHOLE, truncated=1))[1]
    assert verdict.outcome is Outcome.HOLDS and "1 truncated by policy" in verdict.summary


def test_an_empty_store_decides_nothing() -> None:
    assert outcomes(Facts())["completeness"] is Outcome.UNDECIDED
    assert verdicts_exit_code(judge(Facts())) == 2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"partitions": (Chain("partition 0", 9, 0, 9),)}, "1 of 10 are missing"),
        ({"partitions": (Chain("partition 0", 5, 5, 9),)}, "begins at 5"),
        ({"epochs": (Chain("run e1", 3, 0, 3),)}, "run e1: 1 of 4"),
        ({"duplicates": {"partition 0": 2}}, "2 events are stored twice"),
        ({"odd_sessions": (replace(OPEN, stored=4),)}, "1 events are stored twice"),
        ({"odd_sessions": (replace(OPEN, last=5),)}, "2 of 5 events are missing"),
        ({"odd_sessions": (replace(OPEN, last=5, missing="2-3"),)}, "2 of 5 events are missing: 2-3"),
        ({"odd_sessions": (replace(OPEN, closings=1, closed_events=4),)}, "closed with 4 events, 3 are stored"),
        ({"odd_sessions": (replace(OPEN, closings=2, closed_events=3),)}, "closed 2 times"),
        ({"gaps": ({"proxy_id": "p", "partition": 0, "attributes": {"lost_events": "3"}},)}, "lost_events=3"),
        ({"gaps": ({"attributes": {"reason": "too_large"}},)}, "too_large"),
    ],
)
def test_what_is_missing_or_twice_is_a_violation(change: dict[str, object], words: str) -> None:
    verdicts = judge(replace(WHOLE, **change))  # type: ignore[arg-type]
    assert verdicts[1].outcome is Outcome.VIOLATED
    assert words in verdicts[1].findings[0]
    assert verdicts_exit_code(verdicts) == 1


def test_open_and_lost_sessions_are_told_apart() -> None:
    facts = replace(WHOLE, odd_sessions=(OPEN, replace(OPEN, session_id="s3", epoch="e0")))
    completeness = judge(facts)[1]
    assert completeness.outcome is Outcome.HOLDS
    assert (completeness.facts["open"], completeness.facts["lost"]) == (1, 1)


def test_sessions_of_custody_itself_are_not_counted_as_lost() -> None:
    completeness = judge(replace(WHOLE, odd_sessions=(replace(OPEN, epoch="", is_custody=True),)))[1]
    assert (completeness.facts["open"], completeness.facts["lost"]) == (0, 0)


def test_what_was_never_evidence_is_noted_and_no_violation() -> None:
    completeness = judge(replace(WHOLE, gaps=({"attributes": {"reason": "forged"}},)))[1]
    assert completeness.outcome is Outcome.HOLDS
    assert "forged" in completeness.findings[0]


def test_what_retention_took_is_no_hole() -> None:
    facts = replace(
        WHOLE,
        expired_orders=1,
        partitions=(Chain("partition 0", 5, 5, 9),),
        odd_sessions=(replace(OPEN, first=3, last=5),),
    )
    assert outcomes(facts)["completeness"] is Outcome.HOLDS


def test_no_bytes_no_coverage() -> None:
    assert outcomes(replace(WHOLE, ledgers=()))["coverage"] is Outcome.UNDECIDED


def test_what_policies_wanted_left_out_is_told() -> None:
    _, completeness, _ = judge(replace(WHOLE, shortened=3))
    assert completeness.outcome is Outcome.HOLDS
    assert completeness.findings == ("of 3 answers policies wanted less than all recorded (@record): counts, digests",)
