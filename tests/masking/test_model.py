from masking.model import Finding, summarize


def test_summary_keeps_first_order_and_counts():
    findings = [Finding("a", "t1", 0, 1), Finding("b", "t2", 2, 3), Finding("a", "t1", 4, 5)]
    assert summarize(findings) == [("a", 2, "t1"), ("b", 1, "t2")]
