"""Seeded runs of agents with known lineage: what each saw and sent, and which of it is a flow.

Values are made here; a run reads records at some resources and sends parts of them on, written as agents and their
tools write things. Mixed in is what looks like a flow and is none: values the agent had before it saw them, answers
that repeat a request, strangers that hold the same value, look-alikes, values that go back to their source.
"""

import base64
import gzip
import json
import random
import string
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote

from schemas.events import Event, EventKind, Hop, SessionContext

SOURCES: Final = ("orders-db", "crm-api", "hr-db", "vault")
TARGETS: Final = ("mailer", "llm", "warehouse-db", "tickets", "webhook")
STEP_US: Final = 150_000
EPOCH_US: Final = 1_800_000_000_000_000

Edge = tuple[str, str, str]
"""Value, source resource, target resource."""


@dataclass
class Story:
    """Events in order, each with its session; `edges` are the flows in them."""

    steps: list[tuple[SessionContext, Event]] = field(default_factory=list)
    edges: set[Edge] = field(default_factory=set)


class Values:
    """Distinct values of each kind. Nothing here is a secret of anybody."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance

    def pick(self, alphabet: str, count: int) -> str:
        return "".join(self._chance.choice(alphabet) for _ in range(count))

    def card(self) -> str:
        body = "4" + self.pick(string.digits, 14)
        total = sum(
            (digit * 2 - 9 if digit > 4 else digit * 2) if place % 2 == 0 else digit
            for place, digit in enumerate(map(int, body))
        )
        return body + str(-total % 10)

    def iban(self) -> str:
        body = "37040044" + self.pick(string.digits, 10)
        return f"DE{98 - int(body + '131400') % 97:02d}{body}"

    def email(self) -> str:
        return f"{self.pick(string.ascii_lowercase, 9)}@{self.pick(string.ascii_lowercase, 7)}.example.com"

    def secret(self) -> str:
        return "ghp" + "_" + "q7Z" + self.pick(string.ascii_letters + string.digits, 33)

    def opaque(self) -> str:
        """An id that no detector knows."""
        return f"cus-{self.pick('0123456789abcdef', 20)}"

    def any(self) -> str:
        return str(self._chance.choice((self.card, self.iban, self.email, self.secret, self.opaque))())


WAYS: Final[dict[str, Callable[[str], str]]] = {
    "as it is": lambda value: f"note: {value} end",
    "in JSON": lambda value: json.dumps({"data": {"field": value}}),
    "URL-encoded": lambda value: f"a=1&field={quote(value, safe='')}",
    "base64": lambda value: base64.b64encode(f'{{"field": "{value}", "page": 1}}'.encode()).decode(),
    "hex": lambda value: f"field {value} of a page".encode().hex(),
    "JSON in JSON": lambda value: json.dumps({"body": json.dumps({"field": value})}),
    "gzip in base64": lambda value: base64.b64encode(gzip.compress(f"field {value} page".encode() * 3)).decode(),
    "in an SQL literal": lambda value: f"INSERT INTO copies (note) VALUES ('{value}')",
}
"""Ways to write a value in a request."""


def respell(value: str, chance: random.Random) -> str:
    """Case and separators as people and tools change them, where the kind of value allows it."""
    if "@" in value:
        return chance.choice((value, value.upper(), value.capitalize()))
    if value.isdigit():
        gap = chance.choice(("", " ", "-"))
        return gap.join(value[i : i + 4] for i in range(0, len(value), 4))
    if value.startswith("DE"):
        return chance.choice((value, " ".join(value[i : i + 4] for i in range(0, len(value), 4))))
    if value.startswith("cus-"):
        return chance.choice((value, value.upper(), value.replace("-", "_")))
    return value  # a key's case is part of it


class Writer:
    """Writes one story."""

    def __init__(self, chance: random.Random) -> None:
        self.story = Story()
        self.values = Values(chance)
        self._chance = chance
        self._at = EPOCH_US
        self._sessions: dict[tuple[str, str, str], tuple[SessionContext, list[int]]] = {}

    def saw(self, agent: str, run_id: str, resource: str, values: list[str], chain: list[Hop] | None = None) -> None:
        rows = [[str(number), value, "ok"] for number, value in enumerate(values)]
        payload = json.dumps({"columns": ["id", "field", "state"], "rows": rows}).encode()
        self._add(agent, run_id, resource, chain, EventKind.ACTION_COMPLETED, payload=payload, payload_type="rows")

    def sent(self, agent: str, run_id: str, resource: str, values: list[str], chain: list[Hop] | None = None) -> None:
        for value in values:
            way = self._chance.choice(list(WAYS))
            text = WAYS[way](respell(value, self._chance))
            if way in ("in an SQL literal", "URL-encoded"):
                fields: dict[str, object] = {"statement": text}
            else:
                kind = "json" if text.startswith("{") else "text"
                fields = {"statement": "POST /", "payload_type": kind, "payload": text.encode()}
            self._add(agent, run_id, resource, chain, EventKind.ACTION_REQUESTED, **fields)

    def _add(
        self, agent: str, run_id: str, resource: str, chain: list[Hop] | None, kind: EventKind, **values: object
    ) -> None:
        key = (agent, run_id, resource)
        if key not in self._sessions:
            context = SessionContext(
                "-".join(key), "ann@example.test", agent, chain or [], run_id, resource, "http", opened_at=self._at
            )
            self._sessions[key] = (context, [0])
        context, seq = self._sessions[key]
        seq[0] += 1
        self._at += self._chance.randrange(STEP_US // 10, STEP_US)
        event = Event(seq[0], self._at, kind.value, f"{context.session_id}.{seq[0]}", duration_us=5_000)
        for name, value in values.items():
            setattr(event, name, value)
        self.story.steps.append((context, event))


def write_runs(seed: int, runs: int) -> Story:
    """`runs` runs, each with flows and with what is none."""
    chance = random.Random(seed)
    writer = Writer(chance)
    for number in range(runs):
        _write_run(writer, chance, f"run-{number}", f"planner-{number % 40}-{number}")
    return writer.story


def _write_run(writer: Writer, chance: random.Random, run_id: str, planner: str) -> None:
    source, other = chance.sample(SOURCES, 2)
    target, second = chance.sample(TARGETS, 2)
    executor, values = f"executor-{run_id}", writer.values
    story = writer.story

    def flow(value: str, to: str) -> None:
        story.edges.add((value, source, to))

    read = [values.any() for _ in range(chance.randrange(3, 9))]
    writer.saw(planner, run_id, source, read)
    copied = chance.sample(read, 2)
    writer.sent(planner, run_id, target, copied)  # the same agent
    for value in copied:
        flow(value, target)
    mine = values.any()
    writer.sent(executor, run_id, second, [read[0]])  # another agent of the run
    flow(read[0], second)
    chained, chain = values.any(), [Hop(planner, "ann@example.test"), Hop(f"sub-{run_id}", planner)]
    writer.saw(planner, "", source, [chained])
    writer.sent(f"sub-{run_id}", "", target, [chained], chain)  # down the delegation chain
    flow(chained, target)
    # -- none of these is a flow
    writer.sent(planner, run_id, source, [read[1]])  # back to where it came from
    writer.sent(planner, run_id, other, [mine])  # the agent had it before
    writer.saw(planner, run_id, other, [mine])
    writer.sent(planner, run_id, target, [mine])
    writer.sent(f"stranger-{run_id}", f"other-{run_id}", target, [read[2]])  # same value, nothing in common
    writer.sent(planner, run_id, target, [_look_alike(chance, read[1]), values.any()])
    writer.sent(planner, run_id, target, ["2026-11-25T23:15:00Z build 20261125.4 of release-candidate-2026"])


def _look_alike(chance: random.Random, value: str) -> str:
    """Two characters changed: another value of the same form."""
    letters = list(value)
    for place in chance.sample([i for i, letter in enumerate(letters) if letter.isalnum()][4:], 2):
        alphabet = string.digits if letters[place].isdigit() else string.ascii_lowercase
        letters[place] = chance.choice([letter for letter in alphabet if letter != letters[place].lower()])
    return "".join(letters)


def batches_of(story: Story, size: int) -> Iterator[list[tuple[SessionContext, Event]]]:
    """The story in batches, in order."""
    for start in range(0, len(story.steps), size):
        yield story.steps[start : start + size]
