"""The clock of events is the wall clock, in µs."""

import time

from schemas.clock import now_us


def test_it_is_the_wall_clock_in_microseconds() -> None:
    before = time.time_ns() // 1000
    found = [now_us() for _ in range(1000)]
    after = time.time_ns() // 1000
    assert before - 1 <= found[0] <= found[-1] <= after + 1
    assert found == sorted(found)
