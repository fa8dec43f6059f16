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


def test_a_partition_whose_turn_has_not_come_is_no_stall() -> None:
    clock = StallClock(stall_s=10, lone_stall_s=100)
    for second in range(0, 40, 5):
        assert not clock.observe(0, second, 1000, False, float(second))
        assert not clock.observe(1, -1, 5, False, float(second))
    assert not clock.observe(1, -1, 5, False, 45.0)  # the other one moved ten seconds ago
    assert clock.observe(1, -1, 5, False, 46.0)
    clock.forget()
    for second in range(50, 150, 5):
        clock.observe(0, second, 1000, False, float(second))
        assert not clock.observe(1, -1, 5, False, float(second))
    clock.observe(0, 151, 1000, False, 151.0)
    assert clock.observe(1, -1, 5, False, 151.0)  # but not for ever
