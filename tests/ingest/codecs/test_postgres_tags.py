"""Command tags: what they count, and what they do to names."""

import pytest

from ingest.codecs.base import Action
from ingest.codecs.postgres_state import Conversation, Flight, Limits, Named, Q
from ingest.codecs.postgres_tags import note_tag


def make(statement: str = "…") -> tuple[Conversation, Flight]:
    limits = Limits(max_tags=2)
    talk = Conversation(limits, None)
    for name in (b"Sone", b"STwo"):
        named = Named(name, 0, "text")
        talk.statements.define(named)
        talk.statements.confirm(named)
    return talk, Flight(Q, Action(statement))


@pytest.mark.parametrize(
    ("tag", "copy", "rows", "affected"),
    [
        ("INSERT 0 5", "", 0, "5"),
        ("UPDATE 3", "", 0, "3"),
        ("SELECT 9", "", 0, None),
        ("FETCH 4", "", 0, None),
        ("COPY 7", "copy_out", 7, None),
        ("COPY 7", "copy_in", 0, "7"),
        ("CREATE TABLE", "", 0, None),
        ("UPDATE ²", "", 0, None),
        ("UPDATE " + "9" * 30, "", 0, None),
    ],
)
def test_rows_that_a_tag_counts(tag: str, copy: str, rows: int, affected: str | None) -> None:
    talk, flight = make()
    flight.copy = copy
    note_tag(talk, flight, tag)
    assert flight.action is not None
    assert (flight.action.rows, flight.action.attributes.get("rows_affected")) == (rows, affected)
    assert flight.tags == (tag,) and flight.copy == ""


def test_many_tags_are_cut() -> None:
    talk, flight = make()
    for _ in range(9):
        note_tag(talk, flight, "SELECT 1")
    assert flight.tags == ("SELECT 1", "SELECT 1", "…")


@pytest.mark.parametrize(
    ("statement", "tag", "left", "is_uncertain"),
    [
        ("DEALLOCATE one", "DEALLOCATE", {b"STwo"}, False),
        ("deallocate ONE;", "DEALLOCATE", {b"STwo"}, False),
        ('DEALLOCATE PREPARE "Two"', "DEALLOCATE", {b"Sone"}, False),
        ("select 1; deallocate one", "DEALLOCATE", {b"Sone", b"STwo"}, True),
        ("DEALLOCATE ALL", "DEALLOCATE ALL", set(), False),
        ("DISCARD ALL", "DISCARD ALL", set(), False),
        ("PREPARE x AS select 1", "PREPARE", {b"Sone", b"STwo"}, True),
    ],
)
def test_names_that_sql_changes(statement: str, tag: str, left: set[bytes], is_uncertain: bool) -> None:
    talk, flight = make(statement)
    note_tag(talk, flight, tag)
    assert {name for name in (b"Sone", b"STwo") if talk.statements.find(name)} == left
    assert talk.statements.is_uncertain is is_uncertain


def test_cursors_make_portals_uncertain() -> None:
    talk, flight = make()
    note_tag(talk, flight, "DECLARE CURSOR")
    assert talk.portals.is_uncertain
