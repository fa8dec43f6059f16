"""Random pipelines against a model of a server: the record says what was really executed, in order, nothing else."""

from collections.abc import Iterator

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.codecs.base import Action, Closed, Opaque, Piece, Requested, Side
from ingest.codecs.postgres import Limits, PostgresCodec
from tests.ingest.codecs import postgres_messages as m
from tests.ingest.codecs.postgres_replay import Played
from tests.ingest.codecs.postgres_server import ModelServer

AGENT, UPSTREAM = Side.AGENT, Side.UPSTREAM
TEXTS = st.sampled_from(["a", "b", "c", "fail", "syntax", "drop", "begin", "commit", "rollback", "copy out", ""])
NAMES = st.sampled_from(["", "s", "t"])
COPY_IN = m.query("copy in")

_COMMANDS = st.one_of(
    st.builds(m.query, TEXTS),
    st.builds(m.parse, TEXTS, NAMES),
    st.builds(m.bind, NAMES, NAMES),
    st.builds(m.execute, NAMES),
    st.builds(m.describe, NAMES, st.sampled_from("SP")),
    st.builds(m.close, NAMES, st.sampled_from("SP")),
    st.sampled_from([m.SYNC, m.SYNC, m.FLUSH]),
    st.builds(lambda text: m.parse(text) + m.bind() + m.execute(), TEXTS),
    st.builds(lambda text, name: m.parse(text, name) + m.SYNC, TEXTS, NAMES),
    st.builds(lambda name: m.bind(name) + m.execute() + m.SYNC, NAMES),
    st.sampled_from(
        [COPY_IN + m.copy_data(b"1\n") + m.COPY_DONE, COPY_IN + m.copy_data(b"1\n") + m.message("f", b"\0")]
    ),
    st.just(
        m.parse("copy in") + m.bind() + m.execute() + m.copy_data(b"1\n") + m.COPY_DONE + m.SYNC + m.parse("a") + m.SYNC
    ),
)


class Session:
    """The codec between a random agent and the model, with bytes under way in both directions."""

    def __init__(self, limits: Limits) -> None:
        self.codec = PostgresCodec(limits=limits)
        self.server = ModelServer()
        self.played = Played()
        self.to_server = b""
        self.to_proxy = b""
        self.refused: list[Action] = []

    def feed(self, side: Side, data: bytes) -> None:
        self.codec.receive(side, data)
        for step in self.codec.steps():
            self.played.take(step)
            assert not isinstance(step, Opaque | Closed), step
            if isinstance(step, Piece) and step.to is UPSTREAM:
                self.to_server += bytes(step.data)
            if isinstance(step, Requested) and step.action.statement == "drop":
                self.refused.append(step.action)
                self.codec.refuse(step.action, "42501", "no")

    def serve(self, count: int) -> None:
        data, self.to_server = self.to_server[:count], self.to_server[count:]
        self.to_proxy += self.server.receive(data)

    def answer(self, count: int) -> None:
        data, self.to_proxy = self.to_proxy[:count], self.to_proxy[count:]
        if data:
            self.feed(UPSTREAM, data)

    def settle(self) -> None:
        while self.to_server or self.to_proxy:
            self.serve(1 << 20)
            self.answer(1 << 20)


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(_COMMANDS, max_size=14), st.data())
def test_the_record_is_what_the_server_executed(commands: list[bytes], data: st.DataObject) -> None:
    limits = data.draw(st.sampled_from([Limits(), Limits(max_message_bytes=64), Limits(max_in_flight=2)]))
    session = Session(limits)
    request = b"".join(commands) + m.SYNC
    while request:
        size = data.draw(st.sampled_from([1, 6, 20, 100, 1000]))
        session.feed(AGENT, request[:size])
        request = request[size:]
        for _ in range(data.draw(st.integers(0, 2))):
            session.serve(data.draw(st.sampled_from([3, 30, 300])))
            session.answer(data.draw(st.sampled_from([2, 20, 200])))
    session.settle()
    assert session.codec.in_flight == 0 and session.codec.backlog(AGENT) == 0
    assert len(session.played.completed) == len(session.played.actions)
    assert list(_executed(session)) == session.server.executed
    assert session.codec.transaction_status == ord(session.server.status)
    assert all(action.status == "42501" for action in session.refused if action.status)
    assert not any(text.startswith("drop") for text in session.server.executed)


def _executed(session: Session) -> Iterator[str]:
    """What the record says was executed; failed ones carry a mark, as in the model."""
    for action in session.played.completed:
        if action.kind == "parse" or action.status in ("", "42501"):
            continue
        if action.status == "00000" or action.status == "57014":
            yield action.statement
        elif action.statement == "fail" and action.status == "22012":
            yield action.statement + " !"
