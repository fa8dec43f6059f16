"""Messages of a session in which policy limits rows, through the codec, cut at every byte."""

from collections.abc import Callable
from struct import pack

import pytest

from ingest.codecs.base import Action, Closed, Piece, Requested, Side, Step
from ingest.codecs.postgres import PostgresCodec
from ingest.codecs.postgres_wire import message
from tests.ingest.codecs.masked import EMAIL, data_row, order

READY = message(b"Z", b"I")
ROWS = [data_row(b"%d" % n) for n in range(9)]
NAMED = {"declare": b"DECLARE CURSOR", "prepare": b"PREPARE"}


def complete(tag: str) -> bytes:
    return message(b"C", tag.encode() + b"\0")


DESCRIPTION = message(b"T", pack("!H", 1) + b"a\0" + pack("!IHIHiH", 0, 0, 25, 0xFFFF, -1, 0))


class Played:
    """A codec whose actions are limited as `limit_of` says of their statement."""

    def __init__(self, limit_of: Callable[[str], int], *, is_masked: bool = False) -> None:
        self.codec = PostgresCodec(on_opaque="relay")
        self.limit_of = limit_of
        self.values = order() if is_masked else None
        self.actions: list[Action] = []
        self.steps: list[Step] = []

    def feed(self, side: Side, data: bytes, size: int = 1 << 30) -> None:
        for start in range(0, len(data), size):
            self.codec.receive(side, data[start : start + size])
            while steps := self.codec.take_steps():
                for step in steps:
                    self.steps.append(step)
                    if isinstance(step, Requested):
                        self.decide(step.action)

    def decide(self, action: Action) -> None:
        self.actions.append(action)
        action.row_limit = self.limit_of(action.statement)
        if self.values is not None:
            action.mask, action.report = self.values, self.values.new_report()
        self.codec.mask(action)

    def ask(self, statement: str, answer: bytes, size: int = 1 << 30) -> bytes:
        """What the agent gets for a simple query."""
        self.feed(Side.AGENT, message(b"Q", statement.encode() + b"\0"))
        return self.answer(answer, size)

    def answer(self, answer: bytes, size: int = 1 << 30) -> bytes:
        self.steps.clear()
        self.feed(Side.UPSTREAM, answer, size)
        return b"".join(bytes(step.data) for step in self.steps if isinstance(step, Piece) and step.to is Side.AGENT)


def limited(limit: int = 3) -> Played:
    return Played(lambda _: limit)


@pytest.mark.parametrize("size", [1, 4, 13, 1 << 20])
@pytest.mark.parametrize(("count", "kept"), [(2, 2), (3, 3), (4, 3), (9, 3)])
def test_rows_beyond_the_limit_do_not_come_and_the_tag_says_how_many_did(size: int, count: int, kept: int) -> None:
    played = limited()
    answer = DESCRIPTION + b"".join(ROWS[:count]) + complete(f"SELECT {count}") + READY
    shown = played.ask("SELECT a FROM t", answer, size)
    assert shown == DESCRIPTION + b"".join(ROWS[:kept]) + complete(f"SELECT {kept}") + READY
    (action,) = played.actions
    assert (action.rows, len(action.row_values), action.withheld) == (kept, kept, count - kept)
    told = action.attributes.get("limit.upstream_rows"), action.attributes.get("limit.withheld")
    assert told == ((str(count), str(count - kept)) if count > kept else (None, None))


def test_all_results_of_one_text_count_together() -> None:
    played = limited()
    one = DESCRIPTION + b"".join(ROWS[:2]) + complete("SELECT 2")
    shown = played.ask("SELECT a FROM t; SELECT a FROM t; SELECT a FROM t", one * 3 + READY)
    two = DESCRIPTION + ROWS[0] + complete("SELECT 1")
    assert shown == one + two + DESCRIPTION + complete("SELECT 0") + READY
    assert played.actions[0].withheld == 3


def test_what_was_changed_stays_in_the_tag() -> None:
    answer = DESCRIPTION + b"".join(ROWS[:5]) + complete("DELETE 5") + READY
    shown = limited().ask("DELETE FROM t RETURNING a", answer)
    assert shown == DESCRIPTION + b"".join(ROWS[:3]) + complete("DELETE 5") + READY


def test_what_passes_is_masked() -> None:
    played = Played(lambda _: 2, is_masked=True)
    rows = b"".join(data_row(EMAIL) for _ in range(4))
    shown = played.ask("SELECT a FROM t", DESCRIPTION + rows + complete("SELECT 4") + READY)
    assert EMAIL not in shown and shown.count("‹email:".encode()) == 2 and shown.endswith(complete("SELECT 2") + READY)


def test_others_of_the_session_are_as_they_were() -> None:
    played = Played(lambda statement: 1 if "t1" in statement else 0)
    answer = DESCRIPTION + b"".join(ROWS) + complete("SELECT 9") + READY
    assert len(played.ask("SELECT a FROM t1", answer)) < len(answer)
    assert played.ask("SELECT a FROM t2", answer) == answer
    fetched = DESCRIPTION + b"".join(ROWS) + complete("FETCH 9") + READY
    assert played.ask("DECLARE c CURSOR FOR SELECT a FROM t2", complete("DECLARE CURSOR") + READY)
    assert played.ask("FETCH 9 FROM c", fetched) == fetched


def test_a_cursor_keeps_its_limit_over_all_its_fetches_and_a_new_one_of_its_name_begins_anew() -> None:
    played = Played(lambda statement: 3 if "t1" in statement else 0)
    two = DESCRIPTION + b"".join(ROWS[:2]) + complete("FETCH 2") + READY
    one = DESCRIPTION + ROWS[0] + complete("FETCH 1") + READY
    none = DESCRIPTION + complete("FETCH 0") + READY
    for _ in range(2):
        played.ask("DECLARE c CURSOR WITH HOLD FOR SELECT a FROM t1", complete("DECLARE CURSOR") + READY)
        assert [played.ask(text, two) for text in ("FETCH 2 FROM c", "FETCH 2 c", "FETCH 2 FROM C -- d")] == [
            two, one, none,
        ]  # fmt: skip
        played.ask("DECLARE c CURSOR FOR SELECT a FROM t1", message(b"E", b"SERROR\0C42P03\0Mexists\0\0") + READY)
        assert played.ask("FETCH 2 FROM c", two) == none  # it is the old one


def test_names_of_unknown_origin_have_the_smallest_limit() -> None:
    played = Played(lambda statement: 2 if "t1" in statement else 0)
    five = DESCRIPTION + b"".join(ROWS[:5]) + complete("FETCH 5") + READY
    assert played.ask("FETCH 5 FROM before", five) == five  # nothing is limited so far
    played.ask("SELECT open_cursor('t1')", DESCRIPTION + ROWS[0] + complete("SELECT 1") + READY)
    assert played.ask('FETCH 5 FROM "<unnamed portal 1>"', five).endswith(complete("FETCH 2") + READY)
    assert played.ask('FETCH 5 FROM "<unnamed portal 1>"', five).endswith(complete("FETCH 0") + READY)
    rows = DESCRIPTION + b"".join(ROWS[:5]) + complete("SELECT 5") + READY
    assert played.ask("EXECUTE p", rows).endswith(complete("SELECT 2") + READY)
    played.ask("PREPARE q AS SELECT a FROM t2", complete("PREPARE") + READY)
    assert played.ask("EXECUTE q", rows) == rows


def execute(count: int) -> bytes:
    return message(b"E", b"p\0" + pack("!i", count)) + message(b"H", b"")


def test_a_portal_that_was_suspended_is_complete_once_rows_were_withheld() -> None:
    played = limited()
    bind = message(b"B", b"p\0\0" + pack("!HHH", 0, 0, 0))
    played.feed(Side.AGENT, message(b"P", b"\0SELECT a FROM t\0" + pack("!H", 0)) + bind + execute(2))
    suspended = message(b"s", b"")
    two = b"".join(ROWS[:2])
    assert played.answer(message(b"1", b"") + message(b"2", b"") + two + suspended).endswith(two + suspended)
    played.feed(Side.AGENT, execute(2))
    assert played.answer(two + suspended) == ROWS[0] + complete("SELECT 1")
    played.feed(Side.AGENT, execute(0))
    assert played.answer(b"".join(ROWS[:5]) + complete("SELECT 5")) == complete("SELECT 0")
    assert [action.withheld for action in played.actions] == [0, 1, 5]


@pytest.mark.parametrize("size", [1, 9, 1 << 20])
@pytest.mark.parametrize("is_masked", [False, True])
def test_a_copy_is_cut_between_records(size: int, is_masked: bool) -> None:
    played = Played(lambda _: 2, is_masked=is_masked)
    begin, done = message(b"H", b"\0" + pack("!HH", 1, 0)), message(b"c", b"")
    data = b"".join(message(b"d", piece) for piece in (b"on", b"e\ntwo", b"\nthree\nfour\n"))
    shown = played.ask("COPY t TO STDOUT", begin + data + done + complete("COPY 4") + READY, size)
    kept = shown.removeprefix(begin).removesuffix(done + complete("COPY 2") + READY)
    text = b"".join(part[4:] for part in kept.split(b"d")[1:])
    assert text == b"one\ntwo\n" and played.actions[0].withheld == 2


def test_a_binary_copy_keeps_its_trailer() -> None:
    played = limited(1)
    head = b"PGCOPY\n\xff\r\n\0" + pack("!ii", 0, 0)
    row = pack("!hi", 1, 2) + b"ab"
    begin, done = message(b"H", b"\1" + pack("!HH", 1, 1)), message(b"c", b"")
    data = message(b"d", head + row) + message(b"d", row) + message(b"d", b"\xff\xff")
    shown = played.ask("COPY t TO STDOUT (FORMAT binary)", begin + data + done + complete("COPY 2") + READY)
    passed = message(b"d", head + row) + message(b"d", b"\xff\xff")
    assert shown == begin + passed + done + complete("COPY 1") + READY


@pytest.mark.parametrize(
    ("statement", "answer"),
    [
        ("DO $$ copy $$", message(b"H", b"\0" + pack("!H", 0))),
        ("START_REPLICATION", message(b"W", b"\0" + pack("!H", 0))),
        ("SELECT a FROM t", DESCRIPTION + ROWS[0] * 3 + b"D" + pack("!I", 1 << 25) + b"x" * (17 << 20)),
    ],
)
def test_what_cannot_be_limited_ends_the_session(statement: str, answer: bytes) -> None:
    played = limited()
    shown = played.ask(statement, answer)
    assert b"cannot be given as policy demands" in shown
    assert any(isinstance(step, Closed) and step.reason == "answer_withheld" for step in played.steps)
