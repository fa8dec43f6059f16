"""The outbox: order is kept, nothing leaves before its ticket, and waiting is by notice, not by polling."""

from hypothesis import given
from hypothesis import strategies as st

from ingest.outbox import MAX_JOINED_BYTES, Outbox


class Log:
    """Stands for a session's view of the audit log: what is durable, and who waits. A fake for the order of acks."""

    def __init__(self) -> None:
        self.durable = 0
        self.callbacks: list[object] = []

    def is_released(self, ticket: int) -> bool:
        return ticket <= self.durable

    def watch(self, callback: object) -> None:
        self.callbacks.append(callback)

    def move(self, durable: int) -> None:
        self.durable = durable
        callbacks, self.callbacks = self.callbacks, []
        for callback in callbacks:
            assert callable(callback)
            callback()


def make(log: Log) -> tuple[Outbox, list[bytes]]:
    sent: list[bytes] = []
    return Outbox(log, lambda data: sent.append(bytes(data)), lambda: None), sent


def test_released_pieces_leave_together() -> None:
    outbox, sent = make(Log())
    outbox.push(b"a", 0)
    outbox.push(b"b", 0)
    assert sent == [] and outbox.is_empty
    outbox.flush()
    outbox.flush()
    assert sent == [b"ab"]


def test_large_pieces_are_not_copied_to_be_joined() -> None:
    outbox, sent = make(Log())
    large = bytes(MAX_JOINED_BYTES)
    for data in (b"a", large, b"b"):
        outbox.push(data, 0)
    outbox.flush()
    assert sent == [b"a", large, b"b"]


def test_a_piece_without_a_ticket_stays_behind_those_before_it() -> None:
    log = Log()
    outbox, sent = make(log)
    outbox.push(b"a", 1)
    outbox.push(b"b", 0)
    assert sent == [] and outbox.held_bytes == 2
    log.move(1)
    assert sent == [b"ab"] and outbox.held_bytes == 0


def test_discarded_pieces_never_leave() -> None:
    log = Log()
    outbox, sent = make(log)
    outbox.push(b"free", 0)
    outbox.push(b"abc", 1)
    assert outbox.discard() == 3
    log.move(1)
    assert sent == [b"free"]


@given(st.lists(st.integers(0, 5), max_size=20), st.lists(st.integers(0, 5), max_size=6))
def test_order_and_release_hold_for_any_acks(tickets: list[int], acks: list[int]) -> None:
    log = Log()
    outbox, sent = make(log)
    for number, ticket in enumerate(tickets):
        outbox.push(bytes([number]), ticket)
    outbox.flush()
    for ack in sorted(acks):
        log.move(ack)
        count = sum(map(len, sent))
        assert b"".join(sent) == bytes(range(count))
        assert all(ticket <= ack for ticket in tickets[:count])
        assert count == len(tickets) or tickets[count] > ack
        assert len(log.callbacks) <= 1
