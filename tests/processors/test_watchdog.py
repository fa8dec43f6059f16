"""When a standstill is a stall."""

from processors.watchdog import StallClock


def test_only_waiting_records_and_no_progress_are_a_stall() -> None:
    clock = StallClock(10)
    assert not clock.observe(0, 5, 9, False, 0)
    assert not clock.observe(0, 5, 9, False, 9)
    assert clock.observe(0, 5, 12, False, 11)
    assert not clock.observe(0, 6, 12, False, 12)
    assert not clock.observe(0, 6, 12, False, 21)
    assert not clock.observe(0, 6, 7, False, 30)  # nothing waits
    assert not clock.observe(0, 6, 9, False, 31)
    assert not clock.observe(0, 6, 9, True, 50)  # it said that it waits
    assert not clock.observe(0, 6, 9, False, 55)
    assert clock.observe(0, 6, 9, False, 61)
    clock.forget()
    assert not clock.observe(0, 6, 9, False, 99)
