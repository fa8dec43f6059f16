"""Command tags: the rows they count, and the names that SQL has changed behind the protocol's back."""

from collections.abc import Callable
from typing import Final

from ingest.codecs.postgres_state import Conversation, Flight


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
        flight.tags.append(tag)
    elif len(flight.tags) == talk.limits.max_tags:
        flight.tags.append("…")
    change = _NAME_CHANGES.get(tag)
    if change is not None:
        change(talk, flight)
    action = flight.action
    word, _, count = tag.rpartition(" ")
    if action is None or not count.isdigit() or word == "SELECT" or len(count) > 18:
        return
    if flight.copy == "copy_out":
        action.rows += int(count)
    elif not word.startswith(("FETCH", "MOVE")):
        affected = int(action.attributes.get("rows_affected", "0")) + int(count)
        action.attributes["rows_affected"] = str(affected)
    if flight.copy:
        if talk.copy is flight:
            talk.copy = None
        flight.copy = ""
