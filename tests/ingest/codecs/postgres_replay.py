"""Plays a recorded conversation into the codec, at once or in pieces, and gathers what came out."""

import base64
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from ingest.codecs.base import (
    Action,
    Closed,
    Completed,
    Hold,
    Noted,
    Opaque,
    Piece,
    Progressed,
    Requested,
    Side,
    Step,
)
from ingest.codecs.postgres import PostgresCodec

CAPTURES = Path(__file__).parents[2] / "captures" / "postgres"
Read = tuple[Side, bytes]
FACTS = (
    "statement kind parameters is_bounded attributes status error rows request_bytes response_bytes columns row_values "
    "is_truncated"
).split()


def load(name: str) -> list[Read]:
    lines = (CAPTURES / f"{name}.jsonl").read_text().splitlines()
    return [(Side(side), base64.b64decode(data)) for side, data in map(json.loads, lines)]


@dataclass
class Played:
    """What a codec did, and a check of the gate's order on the way."""

    sent: dict[Side, bytearray] = field(default_factory=lambda: {s: bytearray() for s in Side})
    actions: list[Action] = field(default_factory=list)
    completed: list[Action] = field(default_factory=list)
    notes: list[Noted] = field(default_factory=list)
    progress: dict[Side, bytearray] = field(default_factory=lambda: {s: bytearray() for s in Side})
    opaque: list[Opaque] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)
    pieces: list[Piece] = field(default_factory=list)

    def take(self, step: Step) -> None:
        match step:
            case Requested(action):
                assert not any(action is a for a in self.actions)
                self.actions.append(action)
            case Completed(action):
                assert any(action is a for a in self.actions), "completed, never requested"
                assert not any(action is a for a in self.completed), "completed twice"
                self.completed.append(action)
            case Progressed(action, source, data):
                assert not any(action is a for a in self.completed)
                self.progress[source] += data
            case Piece(to, data):
                self._check_gate(step)
                self.sent[to] += data
                self.pieces.append(step)
            case Noted():
                self.notes.append(step)
            case Opaque():
                self.opaque.append(step)
            case Closed(reason):
                self.closed.append(reason)

    def _check_gate(self, piece: Piece) -> None:
        if piece.action is not None:
            assert any(piece.action is a for a in self.actions), "bytes before the request"
            if piece.hold is Hold.OUTCOME and piece.to is Side.AGENT:
                assert any(piece.action is a for a in self.completed), "an end mark before the outcome"


def split(reads: Iterable[Read], size: int) -> list[Read]:
    return [(side, data[i : i + size]) for side, data in reads for i in range(0, len(data), size)]


def play(
    reads: Iterable[Read], codec: PostgresCodec | None = None, on_request: Callable[[Action], None] | None = None
) -> Played:
    codec = codec or PostgresCodec()
    played = Played()
    for side, data in reads:
        codec.receive(side, data)
        run(codec, played, on_request)
    return played


def run(codec: PostgresCodec, played: Played, on_request: Callable[[Action], None] | None = None) -> None:
    for step in codec.steps():
        played.take(step)
        if isinstance(step, Requested) and on_request is not None:
            on_request(step.action)


def facts(played: Played) -> list[object]:
    """What must not depend on how the bytes were cut into reads."""
    return [
        [{name: getattr(a, name) for name in FACTS} for a in played.completed],
        [(n.name, n.attributes) for n in played.notes],
        bytes(played.sent[Side.AGENT]),
        bytes(played.sent[Side.UPSTREAM]),
        bytes(played.progress[Side.AGENT]),
        bytes(played.progress[Side.UPSTREAM]),
        played.closed,
    ]
