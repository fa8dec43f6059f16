import pytest

from policy.model import RecordObligation
from policy.record_text import ALL, NOTHING, join_records, parse_record, write_record


@pytest.mark.parametrize(
    ("text", "record"),
    [
        ("full", ALL),
        (" statement ", NOTHING),
        ("rows=20", RecordObligation(20)),
        ("bytes = 4096", RecordObligation(bytes=4096)),
        ("bytes=0; rows=5;", RecordObligation(5, 0)),
        ("rows=0;bytes=0", NOTHING),
    ],
)
def test_what_an_annotation_means(text: str, record: RecordObligation) -> None:
    assert parse_record(text) == record
    assert parse_record(write_record(record)) == record


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "says none"),
        (";", "says none"),
        ("complete", "not 'complete'"),
        ("full; rows=1", "not 'full'"),
        ("rows=1; rows=2", "rows is given twice"),
        ("rows=-1", "a number up to 10000, not '-1'"),
        ("rows=٣", "not '٣'"),
        ("rows=10001", "not '10001'"),
        ("bytes=262145", "a number up to 262144"),
        ("bytes=" + "9" * 5000, "a number up to"),
    ],
)
def test_what_is_wrong_is_said(text: str, fault: str) -> None:
    with pytest.raises(ValueError, match=r"@record") as raised:
        parse_record(text)
    assert fault in str(raised.value)


def test_of_several_the_most_counts() -> None:
    assert join_records([]) is None
    assert join_records([NOTHING, NOTHING]) == NOTHING
    assert join_records([NOTHING, RecordObligation(5)]) == RecordObligation(5)
    assert join_records([RecordObligation(5), RecordObligation(9, 100), NOTHING]) == RecordObligation(9, 100)
    assert join_records([ALL, RecordObligation(9, 100)]) == ALL
