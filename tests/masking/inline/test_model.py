from masking.inline.model import MAX_ENTRIES, MORE, Report
from masking.model import Finding


def test_a_report_counts_by_label_token_and_place_and_is_taken_once() -> None:
    report = Report(lambda places: [place.upper() for place in places])
    report.add([Finding("email", "a", 0, 1, "x"), Finding("email", "a", 5, 6, "x"), Finding("email", "b", 0, 1)], "")
    report.add([Finding("pin", "c", 0, 1, "inner")], "$.pin")
    assert [(m.label, m.count, m.token, m.place) for m in report.take()] == [
        ("email", 2, "a", "X"),
        ("email", 1, "b", ""),
        ("pin", 1, "c", "$.PIN"),
    ]
    assert report.take() == [] and report.total == 4


def test_a_report_is_bounded_and_says_that_there_was_more() -> None:
    report = Report(list)
    report.add(Finding("email", str(number), 0, 1) for number in range(MAX_ENTRIES + 20))
    entries = report.take()
    assert len(entries) == MAX_ENTRIES + 1
    assert (entries[-1].place, entries[-1].count, entries[-1].token) == (MORE, 20, "")


def test_a_report_takes_over_what_another_has_counted() -> None:
    report, other = Report(list), Report(list)
    report.add([Finding("email", "a", 0, 1, "x")])
    report.merge(other)
    other.add([Finding("email", "a", 0, 1, "x"), Finding("pin", "b", 0, 1, "x")])
    other.unread = "why"
    report.merge(other)
    report.merge(other)
    assert report.total == 5 and report.unread == "why"
    assert [(m.label, m.count) for m in report.take()] == [("email", 3), ("pin", 2)]
    assert len(other.take()) == 2


def test_a_merged_report_is_bounded_too() -> None:
    report, other = Report(list), Report(list)
    report.add(Finding("email", str(number), 0, 1) for number in range(MAX_ENTRIES - 1))
    other.add(Finding("pin", str(number), 0, 1) for number in range(3))
    report.merge(other)
    entries = report.take()
    assert [(m.label, m.count, m.place) for m in entries[-2:]] == [("pin", 1, ""), ("pin", 2, MORE)]
