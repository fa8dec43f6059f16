"""What is expected is waited for while it is more than what waits, and not for long."""

from schemas.wire.outlook import CROWD, Outlook


def test_more_that_is_about_to_come_than_waits_is_worth_waiting_for() -> None:
    outlook = Outlook()
    assert not outlook.is_promising
    marks = [outlook.expect() for _ in range(4)]
    assert outlook.is_promising
    outlook.meet(marks[0])
    outlook.add_waiting()
    assert outlook.is_promising
    outlook.meet(marks[1])
    outlook.add_waiting()
    assert not outlook.is_promising
    outlook.take_batch()
    assert outlook.is_promising  # the other two were expected before and still are
    for mark in marks[2:]:
        outlook.meet(mark)
    assert not outlook.is_promising


def test_in_a_crowd_one_that_is_about_to_come_is_worth_waiting_for() -> None:
    outlook = Outlook()
    marks = [outlook.expect() for _ in range(CROWD)]
    for mark in marks:
        assert outlook.is_promising
        outlook.meet(mark)
        outlook.add_waiting()
    assert not outlook.is_promising


def test_who_is_alone_waits_for_nobody() -> None:
    outlook = Outlook()
    for _ in range(3):
        outlook.meet(outlook.expect())
        outlook.add_waiting()
        assert not outlook.is_promising
        outlook.take_batch()


def test_what_does_not_come_is_not_expected_for_long() -> None:
    outlook = Outlook()
    late = outlook.expect()
    outlook.take_batch()
    assert outlook.is_promising
    outlook.take_batch()
    assert not outlook.is_promising
    outlook.meet(late)  # nobody counts on it any more
    assert not outlook.is_promising
    assert outlook.expect() and outlook.is_promising
