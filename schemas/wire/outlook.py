"""When a batch had better wait: one that serves all who are about to come costs proxy and broker less than two.

Compiled where a C compiler is at hand (deploy/native.py).
"""

from typing import Final

CROWD: Final = 8
"""From so many on that wait or are about to come, processor time is what is scarce, and one batch serves them all."""


class Outlook:
    """What is about to come, against what waits already: whether a batch that could go had better wait for more.

    Counted are events that somebody waits for: the outcomes of actions. One batch may serve all that come in time.
    """

    def __init__(self) -> None:
        self._waiting = 0  # of the batch that would go now
        self._turn = 1  # rises with each batch that is taken
        self._expected = 0  # under way since the last batch was taken, and since the one before
        self._expected_before = 0

    def expect(self) -> int:
        """Such an event is under way. A mark for `meet`, never 0."""
        self._expected += 1
        return self._turn

    def meet(self, mark: int) -> None:
        """What was expected is here now. What did not come within two batches is not expected any more."""
        if mark == self._turn:
            self._expected -= 1
        elif mark == self._turn - 1:
            self._expected_before -= 1

    def add_waiting(self) -> None:
        """One more waits for the next batch."""
        self._waiting += 1

    def take_batch(self) -> None:
        """All that wait go now."""
        self._waiting = 0
        self._turn += 1
        self._expected_before = self._expected
        self._expected = 0

    @property
    def is_promising(self) -> bool:
        """Whether more is about to come than waits.

        With one session at work nothing else is expected. With a few, more must be about to come than wait. With a
        crowd, one is enough: a batch less is worth more to all of them than the moment it takes.
        """
        expected = self._expected + self._expected_before
        return expected > self._waiting or (expected > 0 and expected + self._waiting >= CROWD)
