"""Edges and detections of one partition: one detection for many values of one way, the same after a restart."""

import json

from processors.detection.data_flow import INTERNAL, Place
from processors.detection.lineage import QUIET_US, Lineage
from schemas.events import Detection, LineageEdge, SightingBatch
from tests.processors.detection.test_flow_memory import ORIGIN, SECOND, saw, sent


def places(name: str) -> Place:
    return Place(name, INTERNAL if name == "db" else "external")


def feed(lineage: Lineage, offset: int, *sightings: object) -> list[LineageEdge | Detection]:
    return list(lineage.feed(offset, SightingBatch(ORIGIN, 0, list(sightings))))  # type: ignore[arg-type]


TOKENS = tuple(f"t{number}" for number in range(50))


def test_many_values_the_same_way_are_many_edges_and_one_detection() -> None:
    found = feed(Lineage(places), 0, saw(0, "db", *TOKENS), sent(1, "mailer", *TOKENS))
    assert sum(isinstance(item, LineageEdge) for item in found) == 50
    (detection,) = [item for item in found if isinstance(item, Detection)]
    assert isinstance(found[0], LineageEdge) and found[1] is detection
    assert (detection.rule, detection.severity, detection.resource) == ("data-flow", "high", "mailer")
    assert detection.attributes["edge_id"] == found[0].edge_id


def test_another_way_or_later_is_another_detection() -> None:
    lineage = Lineage(places)
    quiet_s = QUIET_US / SECOND
    found = feed(
        lineage, 0, saw(0, "db", "a", "b", "c"), sent(1, "mailer", "a"), sent(2, "other", "a"),
        sent(3, "mailer", "b", session_id="x"), sent(quiet_s + 1, "mailer", "c", session_id="y"),
    )  # fmt: skip
    titles = [item.title for item in found if isinstance(item, Detection)]
    assert titles == [f"payment_card read at db was sent to {where}" for where in ("mailer", "other", "mailer")]


def test_a_restart_remembers_what_was_seen_and_what_was_said() -> None:
    story = [saw(0, "db", *TOKENS), sent(1, "mailer", *TOKENS[:10])]
    lineage = Lineage(places)
    for offset, item in enumerate(story):
        feed(lineage, offset, item)
    saved = json.loads(json.dumps(lineage.save()))
    assert saved["from"] == 0
    again = Lineage(places, saved)
    for offset, item in enumerate(story):
        again.replay(offset, SightingBatch(ORIGIN, 0, [item]))
    rest = feed(again, 2, sent(2, "mailer", *TOKENS[10:20], session_id="later"))
    assert [type(item) for item in rest] == [LineageEdge] * 10  # quiet, as before
    assert rest == feed(lineage, 2, sent(2, "mailer", *TOKENS[10:20], session_id="later"))
