"""Command tags: the rows they count, and the names that SQL has changed behind the protocol's back."""

from collections.abc import Callable
from typing import Final

from ingest.codecs.postgres_state import MAYBE_FLIGHT, Conversation, Flight

_READS: Final = ("SELECT", "FETCH", "MOVE")  # their rows are counted as they pass, or do not pass
MAX_DIGITS: Final = 18


def _deallocate_all(talk: Conversation, _: Flight) -> None:
    talk.statements.remove_confirmed()


def _discard_all(talk: Conversation, _: Flight) -> None:
    talk.statements.remove_confirmed()
    talk.portals.remove_confirmed()


def _deallocate(talk: Conversation, flight: Flight) -> None:
    """Forget the one name that a plain DEALLOCATE says; any other way leaves all names uncertain."""
    words = flight.action.statement.strip().rstrip(";").split() if flight.action is not None else []
    if len(words) == 3 and words[1].upper() == "PREPARE":
        del words[1]
    if len(words) != 2 or words[0].upper() != "DEALLOCATE":
        talk.statements.is_uncertain = True
        return
    name = words[1]
    name = name[1:-1].replace('""', '"') if name[:1] == '"' else name.lower()
    talk.statements.remove(b"S" + name.encode(talk.encoding, "replace"))


def _prepare(talk: Conversation, _: Flight) -> None:
    talk.statements.is_uncertain = True


def _cursor(talk: Conversation, _: Flight) -> None:
    talk.portals.is_uncertain = True


_NAME_CHANGES: Final[dict[str, Callable[[Conversation, Flight], None]]] = {
    "DEALLOCATE ALL": _deallocate_all,
    "DISCARD ALL": _discard_all,
    "DEALLOCATE": _deallocate,
    "PREPARE": _prepare,
    "DECLARE CURSOR": _cursor,
    "CLOSE CURSOR": _cursor,
    "CLOSE CURSOR ALL": _cursor,
}


def note_tag(talk: Conversation, flight: Flight, tag: str) -> None:
    """Take the tag of a CommandComplete."""
    if len(flight.tags) < talk.limits.max_tags:
        flight.tags += (tag,)
    elif len(flight.tags) == talk.limits.max_tags:
        flight.tags += ("…",)
    change = _NAME_CHANGES.get(tag)
    if change is not None:
        change(talk, flight)
    copied = flight.copy
    if copied:
        _end_copy(talk, flight)
    action = flight.action
    word, _, count = tag.rpartition(" ")
    if action is None or not count.isdecimal() or word in _READS or len(count) > MAX_DIGITS:
        return
    if copied == "copy_out":
        action.rows += int(count)
    else:
        affected = int(action.attributes.get("rows_affected", "0")) + int(count)
        action.attributes["rows_affected"] = str(affected)


def _end_copy(talk: Conversation, flight: Flight) -> None:
    """The copy of the request at the head went well: Syncs sent during it were ignored."""
    flight.copy = ""
    if talk.copy is flight:
        talk.copy = None
    while len(talk.expected) > 1 and talk.expected[1] is MAYBE_FLIGHT:
        del talk.expected[1]
