"""Headers of a redriven dead letter: what is written is read back, anything else is a bounded claim or nothing."""

import pytest

from schemas.errors import RecordError
from schemas.events import Origin
from schemas.wire.redriving import BY, ORIGIN, note_of, write_headers

LETTER = Origin("J3k_9-x", 3, 1 << 40)


def test_what_is_written_is_read_back() -> None:
    note = note_of(write_headers(LETTER, "dana@example.test"))
    assert note == {
        "reason": "redriven",
        "detail": f"this batch was the dead letter of raw record 3/{1 << 40} of log J3k_9-x",
        "claimed.by": "dana@example.test",
    }
    assert note_of(dict(write_headers(LETTER, "dana@local"))) is not None


@pytest.mark.parametrize("log_id", ["/ab+/c3/9w", "//////////////////////w", "1/2"])
def test_a_topic_whose_id_has_other_letters_of_base64_is_named_too(log_id: str) -> None:
    note = note_of(write_headers(Origin(log_id, 3, 4), "dana@example.test"))
    assert note is not None
    assert note["detail"] == f"this batch was the dead letter of raw record 3/4 of log {log_id}"


@pytest.mark.parametrize(
    "by", ["", "dana", "dana@", "dana@x\n", "4111 1111 1111 1111", "a" * 65 + "@x", "d@" + "x" * 129]
)
def test_who_is_nobody_redrives_nothing(by: str) -> None:
    with pytest.raises(RecordError, match="no name of a person"):
        write_headers(LETTER, by)


@pytest.mark.parametrize(
    "value", [b"", b"x", b"log/1", b"/1/2", b"log/1/2/", b"log/-1/2", b"l g/1/2", b"log/1/" + b"9" * 400, b"\xff/1/2"]
)
def test_what_names_no_record_is_no_note(value: bytes) -> None:
    assert note_of([(ORIGIN, value), (BY, b"dana@example.test")]) is None


def test_whatever_else_is_said_of_a_person_is_not_repeated() -> None:
    for by in (b"4111111111111111", b"\xff@x", b"dana@x y", b"d" * 1000):
        note = note_of([(ORIGIN, b"log/1/2"), (BY, by)])
        assert note is not None and note["claimed.by"] == ""
    assert note_of(None) is None and note_of([]) is None and note_of({"other": b"log/1/2"}) is None
