"""What opens a hold's leaf in a file of evidence, and what does not."""

import json
from typing import Any

import pytest

from sinks.transparency.hold_evidence import count_undisclosed, read_spans
from sinks.transparency.leaf import Coordinates, HoldLeaf, commit

PLACED = json.dumps({"session": "s-1", "since": 5, "until": 9, "opening": "ab" * 16})
RELEASED = json.dumps({"session": "s-1", "released_by": "ann", "opening": "ab" * 16})


def leaf(text: str, *, is_placed: bool, id: str = "h-1") -> HoldLeaf:
    return HoldLeaf(Coordinates("c", 0, 0), id, is_placed, commit(bytes.fromhex("ab" * 16), text.encode()))


LEAVES = [(4, leaf(PLACED, is_placed=True)), (8, leaf(RELEASED, is_placed=False))]


def test_a_hold_is_opened_by_its_own_texts_only() -> None:
    document: dict[str, Any] = {"h-1": {"placed": PLACED, "released": RELEASED, "sessions": ["s-1", "s-9"]}}
    (span,), faults = read_spans(document, LEAVES)
    assert (span.placed, span.released, span.since, span.until, faults) == (4, 8, 5, 9, [])
    assert span.sessions == {"s-1"}  # what the hold itself says counts
    for change in ({"placed": PLACED + " "}, {"released": ""}, {"released": PLACED}):
        spans, faults = read_spans({"h-1": {**document["h-1"], **change}}, LEAVES)
        assert spans == [] and faults == ["legal hold h-1 in the file is not what the log committed to"]
    assert read_spans({"h-2": document["h-1"]}, LEAVES)[1]
    assert count_undisclosed({}, LEAVES) == 1 and count_undisclosed(document, LEAVES) == 0


@pytest.mark.parametrize("item", [None, {}, {"placed": 5, "released": "", "sessions": []}, {"placed": "{}"}, []])
def test_hostile_documents_end_in_one_of_a_few_errors(item: Any) -> None:
    with pytest.raises((KeyError, TypeError, ValueError, AttributeError)):
        read_spans({"h-1": item}, LEAVES)
