"""Which pieces of a batch may have to change: one scan over every text that was not looked at before. Pure.

What is suspected is read and goes through the redactor, which alone decides. What is cleared here is remembered, where
it is short and likely to come again.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from processors.pieces import Lexicon, Pieces, read_context
from processors.redaction import Redactor, Seen, is_telling
from processors.tables import Table
from processors.walk import MAX_KNOWN, MAX_KNOWN_BYTES, Walked
from schemas.errors import RecordError
from schemas.wire.avro import word
from schemas.wire.skips import content_of, read_count, read_parameters, skip_text

_EDGE: Final = b"\0"  # no character goes on behind it
_ROWS: Final = word("rows")


@dataclass(slots=True)
class Changes:
    """What masking changed: contexts (all of them, when any did) and events, by index."""

    contexts: list[dict[str, Any]] | None = None
    events: dict[int, dict[str, Any]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return self.contexts is not None or bool(self.events)


def redact_pieces(pieces: Pieces, redactor: Redactor, lexicon: Lexicon) -> Changes:
    """Mask a batch. Raises RecordError when a text of it is not UTF-8."""
    suspects, doubtful, tables = _find_suspects(pieces.walked, redactor, lexicon)
    contexts: list[dict[str, Any]] = []
    if _has_secret_context(pieces, redactor, lexicon):
        contexts = [read_context(encoded) for encoded in pieces.contexts]
        suspects.update(pieces.walked.opened)  # there it is told what was masked of a context
    if not suspects and not contexts:
        return Changes()
    indices = sorted(suspects)
    batch = {"sessions": contexts, "events": [pieces.read_event(index) for index in indices]}
    seen = Seen(frozenset([place for place, index in enumerate(indices) if index in doubtful]), tables)
    changed = redactor.redact_events(batch, seen) or ()
    return Changes(contexts or None, {indices[place]: batch["events"][place] for place in changed})


def _has_secret_context(pieces: Pieces, redactor: Redactor, lexicon: Lexicon) -> bool:
    has_secret = False
    for encoded, known in zip(pieces.contexts, pieces.known, strict=True):
        if known.is_clean is None:
            is_clean = redactor.redact_events({"sessions": [read_context(encoded)], "events": []}) is None
            known = lexicon.keep(encoded, replace(known, is_clean=is_clean))
        has_secret |= not known.is_clean
    return has_secret


def _find_suspects(
    walked: Walked, redactor: Redactor, lexicon: Lexicon
) -> tuple[set[int], set[int], dict[bytes, Table]]:
    """The events that may have to change; those whose payload may; and what is made of tables in doubt."""
    tainted: set[int] = set()  # by what stands in a region
    texts, owners = [*walked.statements], [*walked.statement_owners]
    for owner, contents in _regions_of(walked, tainted):
        texts += contents
        owners += [owner] * len(contents)
    if not _is_utf8(texts) or not _is_utf8(walked.others):
        raise RecordError("not an EventBatch: a string of it is not UTF-8")
    doubtful = set(walked.odd)
    payloads = walked.payloads
    if not _is_utf8(payloads):
        doubtful.update(walked.payload_owners[i] for i, content in enumerate(payloads) if not _is_utf8([content]))
    suspects = set(doubtful)
    in_regions: list[int] = []
    in_payloads: list[int] = []
    for place in redactor.find_candidates([*texts, *payloads]):
        if place < len(walked.statements):
            suspects.add(owners[place])
        elif place < len(texts):
            in_regions.append(place)
        else:
            in_payloads.append(place - len(texts))
    # A region is short and comes again and again: one look at it decides, so that it is remembered.
    found = redactor.find_secrets([texts[place].decode() for place in in_regions])
    tainted.update(owners[in_regions[index]] for index in found)
    _remember(walked, lexicon, tainted)
    suspects |= tainted
    doubtful.update(walked.payload_owners[place] for place in in_payloads)
    tables = [place for place in in_payloads if walked.payload_types[place] == _ROWS]
    made = redactor.mask_tables([payloads[place] for place in tables])
    for place in in_payloads:  # of result rows the values decide, which were looked at one by one
        table = made.get(payloads[place]) if walked.payload_types[place] == _ROWS else None
        if table is None or table.is_suspect:
            suspects.add(walked.payload_owners[place])
    return suspects, doubtful, made


def _regions_of(walked: Walked, tainted: set[int]) -> Iterator[tuple[int, list[bytes]]]:
    """Owner and contents of each region. One with a name that tells what its value is taints its owner."""
    for owner, region in zip(walked.shape_owners, walked.shapes, strict=True):
        yield owner, _read_shape(region)
    for owner, region in zip(walked.outcome_owners, walked.outcomes, strict=True):
        yield owner, _read_texts(region, 0, 2)[0]
    for owner, region in zip(walked.map_owners, walked.maps, strict=True):
        contents = _read_items(region, 0, 2)[0]
        if any(is_telling(key.decode("utf-8", "replace")) for key in contents[::2]):
            tainted.add(owner)
        yield owner, contents


def _read_shape(region: bytes) -> list[bytes]:
    """The strings of fingerprint, parameters, operation and objects."""
    contents, p = _read_texts(region, 0, 1)
    parameters, p = read_parameters(region, p)
    operation, p = _read_texts(region, p, 1)
    return contents + parameters + operation + _read_items(region, p, 1)[0]


def _read_items(region: bytes, p: int, each: int) -> tuple[list[bytes], int]:
    """The strings of an array whose items are `each` strings, and the position after it."""
    contents: list[bytes] = []
    while True:
        count, p = read_count(region, p)
        if count == 0:
            return contents, p
        found, p = _read_texts(region, p, count * each)
        contents += found


def _read_texts(region: bytes, p: int, count: int) -> tuple[list[bytes], int]:
    contents: list[bytes] = []
    for _ in range(count):
        start, p = p, skip_text(region, p)
        contents.append(content_of(region, start, p))
    return contents, p


def _remember(walked: Walked, lexicon: Lexicon, tainted: set[int]) -> None:
    known = lexicon.vocabulary
    for owners, regions, memory in (
        (walked.shape_owners, walked.shapes, known.shapes),
        (walked.outcome_owners, walked.outcomes, known.outcomes),
        (walked.map_owners, walked.maps, known.maps),
    ):
        for owner, region in zip(owners, regions, strict=True):
            if owner not in tainted and len(region) <= MAX_KNOWN_BYTES:
                if len(memory) >= MAX_KNOWN:
                    memory.clear()
                memory.add(region)


def _is_utf8(contents: Sequence[bytes]) -> bool:
    try:
        _EDGE.join(contents).decode()
    except UnicodeDecodeError:
        return False
    return True
