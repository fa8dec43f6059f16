"""The parts every rule is made of."""

from processors.detection.rule import evidence_of, example


def test_an_example_is_a_fact() -> None:
    fact = example(2, rows=5)
    assert fact.rows == 5 and fact.at - example(0).at == 2_000_000
    assert evidence_of(fact) == "s1:1"
