"""Messages of a session in which policy wants answers masked, through the codec, cut at every byte."""

import struct
from struct import pack
from typing import Any

import pytest

from ingest.codecs.base import Action, Closed, Completed, Noted, Piece, Progressed, Requested, Side, Step
from ingest.codecs.postgres import PostgresCodec
from ingest.codecs.postgres_wire import message
from masking.inline.model import Unreadable
from tests.ingest.codecs.masked import CARD, EMAIL, data_row, order


def description(*columns: tuple[bytes, int]) -> bytes:
    body = b"".join(name + b"\0" + pack("!IHIHiH", 0, 0, oid, 0xFFFF, -1, 0) for name, oid in columns)
    return message(b"T", pack("!H", len(columns)) + body)


def fields(kind: bytes, **texts: bytes) -> bytes:
    return message(kind, b"".join(code.encode() + text + b"\0" for code, text in texts.items()) + b"\0")


DONE = message(b"C", b"SELECT 1\0") + message(b"Z", b"I")


class Played:
    """A codec with an agent that asks and a relay that wants answers masked, or not."""

    def __init__(self, on_opaque: str = "refuse", **order_fields: Any) -> None:
        self.codec = PostgresCodec(on_opaque=on_opaque)
        self.values = order(**order_fields)
        self.steps: list[Step] = []

    def ask(self, statement: str, *, is_masked: bool = True) -> Action:
        self.feed(Side.AGENT, message(b"Q", statement.encode() + b"\0"), is_masked=is_masked)
        return next(step.action for step in reversed(self.steps) if isinstance(step, Requested))

    def feed(self, side: Side, data: bytes, size: int = 1 << 30, *, is_masked: bool = True) -> None:
        for start in range(0, len(data), size):
            self.codec.receive(side, data[start : start + size])
            while steps := self.codec.take_steps():
                for step in steps:
                    self.steps.append(step)
                    if isinstance(step, Requested):
                        self.decide(step.action, is_masked)

    def decide(self, action: Action, is_masked: bool) -> None:
        if is_masked:
            action.mask, action.report = self.values, self.values.new_report()
        self.codec.mask(action)

    def shown(self) -> bytes:
        return b"".join(bytes(s.data) for s in self.steps if isinstance(s, Piece) and s.to is Side.AGENT)


ANSWER = (
    description((b"a", 25), (b"b", 20))
    + b"".join(data_row(b"x%d" % n, b"%d" % n) for n in range(3))
    + data_row(b"to " + EMAIL, CARD)
    + fields(b"N", S=b"NOTICE", M=b"found " + EMAIL, C=b"00000")
    + data_row(None, b"5")
    + DONE
)


@pytest.mark.parametrize("size", [1, 3, 50, 1 << 20])
def test_an_answer_in_any_pieces(size: int) -> None:
    played = Played()
    action = played.ask("SELECT a, b FROM t")
    played.feed(Side.UPSTREAM, ANSWER, size)
    shown = played.shown()
    assert EMAIL not in shown and CARD not in shown and shown.endswith(DONE)
    assert shown.startswith(ANSWER[: ANSWER.index(data_row(b"to " + EMAIL, CARD))])
    assert data_row(None, b"5") in shown and shown.count("‹email:".encode()) == 2
    assert action.rows == 5 and action.row_values[3][1] is None and "‹email:" in (action.row_values[3][0] or "")
    assert action.report is not None
    assert {(m.label, m.count, m.place) for m in action.report.take()} == {
        ("email", 1, "a"),
        ("payment_card", 1, "b"),
        ("email", 1, "notice"),
    }
    (note,) = [step for step in played.steps if isinstance(step, Noted)]
    assert "‹email:" in note.attributes["message"]


def test_other_actions_of_the_session_are_left_alone() -> None:
    played = Played()
    played.ask("SELECT a, b FROM t")
    played.feed(Side.UPSTREAM, ANSWER)
    before = len(played.shown())
    action = played.ask("SELECT 1", is_masked=False)
    answer = description((b"a", 25)) + data_row(EMAIL) + DONE
    played.feed(Side.UPSTREAM, answer)
    assert played.shown()[before:] == answer and action.report is None


def test_what_names_an_earlier_statement_is_masked_as_that() -> None:
    played = Played()
    played.ask("DECLARE c CURSOR FOR SELECT a FROM t")
    played.feed(Side.UPSTREAM, message(b"C", b"DECLARE CURSOR\0") + message(b"Z", b"T"))
    action = played.ask("FETCH 1 FROM c", is_masked=False)
    played.feed(Side.UPSTREAM, description((b"a", 25)) + data_row(EMAIL) + DONE)
    assert EMAIL not in played.shown() and action.attributes["mask.from"]


def test_errors_and_notifications_quote_values() -> None:
    played = Played()
    action = played.ask("SELECT a::int FROM t")
    error = fields(b"E", S=b"ERROR", V=b"ERROR", C=b"22P02", M=b'invalid: "' + EMAIL + b'"', D=b"card " + CARD, H=b"no")
    played.feed(Side.UPSTREAM, error + message(b"Z", b"I"), 7)
    note = message(b"A", pack("!I", 7) + b"news\0" + EMAIL + b"\0")
    played.feed(Side.UPSTREAM, note, 5)
    shown = played.shown()
    assert EMAIL not in shown and CARD not in shown and b"Hno\0" in shown and b"C22P02\0" in shown
    assert "‹email:" in action.error and action.status == "22P02"
    (noted,) = [step for step in played.steps if isinstance(step, Noted) and step.name == "notification"]
    assert noted.attributes["payload"].startswith("‹email:") and noted.attributes["channel"] == "news"


@pytest.mark.parametrize("size", [1, 4, 1 << 20])
def test_copy_data_is_masked_record_by_record(size: int) -> None:
    played = Played()
    action = played.ask("COPY t (a, b) TO STDOUT")
    rows = [b"1\t%b\n" % EMAIL, b"2\tcal", b"m\n", b"3\t\\N\n"]
    copy = message(b"H", b"\0\0\x02\0\0\0\0") + b"".join(message(b"d", row) for row in rows)
    played.feed(Side.UPSTREAM, copy + message(b"c", b"") + DONE, size)
    shown = played.shown()
    assert EMAIL not in shown and message(b"d", b"2\tcalm\n") + message(b"d", b"3\t\\N\n") in shown
    assert shown.endswith(message(b"c", b"") + DONE)
    progressed = b"".join(s.data for s in played.steps if isinstance(s, Progressed))
    assert EMAIL not in progressed and progressed.endswith(b"3\t\\N\n")
    assert action.report is not None and action.report.take()[0].place == "b"


def test_function_results() -> None:
    for value, is_shown in ((b"calm", True), (EMAIL, False), (pack("!q", 7), False)):
        played = Played()
        call = message(b"F", pack("!IHHH", 1, 0, 0, 1))
        played.feed(Side.AGENT, call)
        played.feed(Side.UPSTREAM, message(b"V", pack("!i", len(value)) + value) + message(b"Z", b"I"))
        expected = pack("!i", len(value)) + value if is_shown else b"\xff\xff\xff\xff"
        assert message(b"V", expected) in played.shown()


def test_binary_results_of_a_portal_that_was_described_as_a_statement() -> None:
    played = Played()
    parse = message(b"P", b"s\0SELECT a, b FROM t\0" + pack("!H", 0)) + message(b"D", b"Ss\0") + message(b"S", b"")
    played.feed(Side.AGENT, parse)
    described = description((b"a", 25), (b"b", 20))
    played.feed(Side.UPSTREAM, message(b"1", b"") + message(b"t", pack("!H", 0)) + described + message(b"Z", b"I"))
    bind = message(b"B", b"\0s\0" + pack("!HHHHH", 0, 0, 2, 0, 1))
    played.feed(Side.AGENT, bind + message(b"E", b"\0" + pack("!I", 1)) + message(b"S", b""))
    row = data_row(EMAIL, pack("!q", int(CARD)))
    played.feed(Side.UPSTREAM, message(b"2", b"") + row + message(b"s", b"") + message(b"Z", b"I"), 9)
    shown = played.shown()
    assert EMAIL not in shown and pack("!q", int(CARD)) not in shown
    start = shown.index(b"D", shown.index(message(b"2", b"")) + 5)
    (length,) = struct.unpack_from("!I", shown, start + 1)
    assert shown[start : start + 1 + length].endswith(b"\xff\xff\xff\xff")


def test_replication_and_what_is_too_long_end_the_session() -> None:
    for statement, answer in (
        ("START_REPLICATION SLOT s LOGICAL 0/0", message(b"W", b"\0\0\0") + message(b"d", EMAIL)),
        ("SELECT a FROM t", description((b"a", 25)) + data_row(EMAIL + b"x" * (17 << 20))),
    ):
        played = Played(on_opaque="relay")
        played.ask(statement)
        played.feed(Side.UPSTREAM, answer, 1 << 20)
        assert EMAIL not in played.shown() and b"42501" in played.shown()
        assert isinstance(played.steps[-1], Closed) and played.steps[-1].reason == "answer_withheld"
        (completed,) = [step for step in played.steps if isinstance(step, Completed)]
        assert completed.action.status == "42501"


def test_what_is_no_protocol_is_never_relayed_once_answers_are_masked() -> None:
    played = Played(on_opaque="relay")
    played.ask("SELECT a FROM t")
    played.feed(Side.UPSTREAM, description((b"a", 25)) + b"?" + EMAIL * 10)
    assert EMAIL not in played.shown() and b"08P01" in played.shown()


def test_a_copy_that_cannot_be_masked_is_refused_before_it_begins() -> None:
    played = Played()
    with pytest.raises(Unreadable, match="delimiter"):
        played.ask("COPY t TO STDOUT DELIMITER ':'")


@pytest.mark.parametrize("seed", range(20))
def test_mutated_answers_never_raise_and_never_show_the_secret(seed: int) -> None:
    import random

    numbers = random.Random(seed)
    for _ in range(30):
        answer = bytearray(ANSWER)
        head = len(description((b"a", 25), (b"b", 20)))
        for _ in range(numbers.randrange(1, 4)):
            position = numbers.randrange(head, len(answer))
            if EMAIL not in bytes(answer[max(0, position - 30) : position + 30]):
                answer[position] = numbers.randrange(256)
        played = Played()
        played.ask("SELECT a, b FROM t")
        played.feed(Side.UPSTREAM, bytes(answer), numbers.randrange(1, 60))
        assert EMAIL not in played.shown()


def test_a_result_seen_before_is_masked_the_same_and_only_where_its_columns_mean_the_same() -> None:
    text = b"hunter2hunter2 \xc3\xa4"

    def ask(played: Played, name: bytes, oid: int = 25, encoding: bytes = b"UTF8") -> tuple[bytes, list[Any]]:
        action = played.ask("SELECT a FROM t")
        before = len(played.shown())
        status = message(b"S", b"client_encoding\0" + encoding + b"\0")
        rows = data_row(text) + data_row(b"to " + EMAIL)
        played.feed(Side.UPSTREAM, status + description((name, oid)) + rows + DONE)
        assert action.report is not None
        return played.shown()[before:], [(m.label, m.token, m.count, m.place) for m in action.report.take()]

    first = Played()
    plain = ask(first, b"note")
    assert text in plain[0] and EMAIL not in plain[0] and [entry[0] for entry in plain[1]] == ["email"]
    assert ask(first, b"note") == plain == ask(Played(), b"note"), "in this session and in another"
    named = ask(first, b"password")
    assert text not in named[0] and {entry[0] for entry in named[1]} == {"password"}
    assert ask(first, b"note") == plain, "a name is a part of what is remembered"
    assert ask(first, b"note", 23)[0] != plain[0], "a type is, too"
    latin = ask(first, b"note", 25, b"LATIN1")
    assert text in latin[0] and b"<email:" in latin[0], "and the encoding"
    assert text not in ask(Played(columns=("note",)), b"note")[0], "and the order"
