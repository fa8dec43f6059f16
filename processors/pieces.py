"""A batch taken apart without reading it: where contexts and events stand, so that what is untouched is copied. Pure.

Nine events of ten hold nothing to mask. They go on as the bytes they are, and the tenth alone is read and encoded anew.
"""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

import fastavro
from fastavro.schema import parse_schema

from processors.walk import MAX_KNOWN, MAX_KNOWN_BYTES, Vocabulary, Walked, walk_events
from schemas.errors import RecordError
from schemas.events import Masked
from schemas.wire import avro, framing
from schemas.wire.avro import EMPTY, zigzag
from schemas.wire.batching import encode_fields
from schemas.wire.skips import content_of, read_long, read_parameters, skip_context, skip_long, skip_text, skip_texts

_SHAPE: Final = {item["name"]: item["type"]["items"] for item in framing.load_avsc("EventBatch")["fields"][-2:]}


def _standalone(schema: dict[str, Any], namespace: str) -> Any:
    """Under a namespace of its own: fastavro keeps one global table of names."""
    return parse_schema({**schema, "namespace": f"custody.v1.{namespace}"})


_CONTEXT: Final = _standalone(_SHAPE["sessions"], "piece_context")
_ITEM: Final = _standalone(_SHAPE["events"], "piece_item")


@dataclass(slots=True, frozen=True)
class KnownContext:
    """What is kept of a session's context: the Avro strings of a fact, and who and which class it is.

    `is_clean` is what masking said of it, None before.
    """

    session_id: bytes
    actor: bytes
    agent: str
    retention_class: str
    is_clean: bool | None = None


@dataclass(slots=True)
class Lexicon:
    """What earlier batches held: contexts and runs of strings come again with every batch of a session. Bounded."""

    vocabulary: Vocabulary = field(default_factory=Vocabulary)
    contexts: dict[bytes, KnownContext] = field(default_factory=dict)

    def know(self, encoded: bytes) -> KnownContext:
        """What is kept of an encoded context. Raises RecordError when it is none."""
        known = self.contexts.get(encoded)
        return known or self.keep(encoded, _summarize(read_context(encoded)))

    def keep(self, encoded: bytes, known: KnownContext) -> KnownContext:
        """Remember an encoded context."""
        if len(self.contexts) >= MAX_KNOWN:
            self.contexts.clear()
        self.contexts[encoded] = known
        return known


@dataclass(slots=True, frozen=True)
class Pieces:
    """A bare EventBatch: its sessions begin at `tail` of `plain`, event i is plain[starts[i]:starts[i + 1]]."""

    plain: bytes
    tail: int
    contexts: Sequence[bytes]
    known: Sequence[KnownContext]
    walked: Walked

    def __len__(self) -> int:
        return len(self.walked.sessions)

    def read_event(self, index: int) -> dict[str, Any]:
        """The fields of one SessionEvent. Raises RecordError."""
        starts = self.walked.starts
        fields: dict[str, Any] = _read(_ITEM, self.plain[starts[index] : starts[index + 1]])
        return fields

    def kind_of(self, index: int) -> bytes:
        """The kind of one event, an encoded string."""
        plain, p = self.plain, self._kind_at(index)
        return plain[p : skip_text(plain, p)]

    def read_texts(self, index: int) -> tuple[bytes, list[bytes]]:
        """Payload of one event, and its statement and parameters: a third of what reading all of it costs."""
        plain = self.plain
        p = skip_text(plain, skip_text(plain, self._kind_at(index)))  # kind, action_id
        start, p = p, skip_text(plain, p)
        said = [content_of(plain, start, p)]
        parameters, p = read_parameters(plain, skip_text(plain, p))  # fingerprint
        p = skip_texts(plain, skip_text(plain, p)) + 1  # operation, objects, verdict
        p = skip_text(plain, skip_text(plain, p))  # status, error
        p = skip_long(plain, skip_long(plain, skip_long(plain, p)))  # rows, bytes, duration_us
        p = skip_texts(plain, p, 2)  # attributes
        return content_of(plain, p, skip_text(plain, p)), said + parameters

    def _kind_at(self, index: int) -> int:
        plain = self.plain
        return skip_long(plain, skip_long(plain, skip_long(plain, self.walked.starts[index])))  # session, seq, at


def take_apart(plain: bytes, tail: int, lexicon: Lexicon) -> Pieces | None:
    """The pieces of a bare EventBatch whose sessions begin at `tail`. Raises RecordError.

    None when its sessions or events come in several blocks, as nobody of ours writes them: it has to be read whole.
    """
    try:
        return _take_apart(plain, tail, lexicon)
    except IndexError:
        raise RecordError("not an EventBatch: it is cut off") from None


def _take_apart(plain: bytes, tail: int, lexicon: Lexicon) -> Pieces | None:
    count, p = read_long(plain, tail)
    contexts: list[bytes] = []
    for _ in range(count):
        start, p = p, skip_context(plain, p)
        contexts.append(plain[start:p])
    if count < 0 or (count and plain[p]):
        return None
    known = [lexicon.know(encoded) for encoded in contexts]
    count, p = read_long(plain, p + 1 if count else p)
    walked = Walked()
    ids, actors = [item.session_id for item in known], [item.actor for item in known]
    p = walk_events(plain, p, max(0, count), ids, actors, lexicon.vocabulary, walked)
    if count < 0 or (count and plain[p]):
        return None
    if p + bool(count) != len(plain):
        raise RecordError("not an EventBatch: it ends early or late")
    return Pieces(plain, tail, contexts, known, walked)


def put_together(
    pieces: Pieces, head: bytes, contexts: Sequence[Mapping[str, Any]] | None, events: Mapping[int, Mapping[str, Any]]
) -> bytes:
    """A bare EventBatch of `head` (all before the sessions) and the pieces, `contexts` and `events` in their place."""
    plain, starts = pieces.plain, pieces.walked.starts
    parts = [head]
    if contexts is None:
        parts.append(plain[pieces.tail : starts[0]])
    else:
        parts.append(avro.array([_encode_context(context) for context in contexts]))
        parts.append(zigzag(len(pieces)) if len(pieces) else b"")
    done = 0
    for index in sorted(events):
        parts.append(plain[starts[done] : starts[index]])
        parts.append(_encode_item(events[index]))
        done = index + 1
    parts += (plain[starts[done] : starts[-1]], EMPTY)
    return b"".join(parts)


def read_context(encoded: bytes) -> dict[str, Any]:
    """The fields of an encoded SessionContext. Raises RecordError."""
    fields: dict[str, Any] = _read(_CONTEXT, encoded)
    return fields


def known_context(encoded: bytes) -> Mapping[str, Any]:
    """The fields of an encoded context, for reading only: those of a session come again with each of its batches.

    Raises RecordError.
    """
    return _kept_context(encoded) if len(encoded) <= MAX_KNOWN_BYTES else read_context(encoded)


_kept_context: Final = lru_cache(maxsize=1024)(read_context)


def _summarize(context: Mapping[str, Any]) -> KnownContext:
    actor = b"".join(avro.text(context[name]) for name in ("agent", "principal", "resource"))
    return KnownContext(avro.text(context["session_id"]), actor, context["agent"], context["retention_class"])


def _read(schema: Any, data: bytes) -> Any:
    buffer = io.BytesIO(data)
    try:
        value = fastavro.schemaless_reader(buffer, schema, None)
    # Hostile bytes make the reader raise almost anything (EOFError, ValueError, IndexError, MemoryError …).
    except Exception as error:
        raise RecordError(f"not an EventBatch: {type(error).__name__}") from None
    if buffer.tell() != len(data):
        raise RecordError("not an EventBatch: a piece of it ends early")
    return value


def _encode_context(context: Mapping[str, Any]) -> bytes:
    buffer = io.BytesIO()
    fastavro.schemaless_writer(buffer, _CONTEXT, context)
    return buffer.getvalue()


def _encode_item(item: Mapping[str, Any]) -> bytes:
    event: dict[str, Any] = item["event"]
    masked = [Masked(each["label"], each["count"], each["token"], each["place"]) for each in event["masked"]]
    return zigzag(item["session"]) + encode_fields(
        event["seq"],
        event["at"],
        event["kind"],
        action_id=event["action_id"],
        statement=event["statement"],
        fingerprint=event["fingerprint"],
        parameters=event["parameters"],
        operation=event["operation"],
        objects=event["objects"],
        verdict=event["verdict"],
        status=event["status"],
        error=event["error"],
        rows=event["rows"],
        size=event["bytes"],
        duration_us=event["duration_us"],
        attributes=event["attributes"],
        payload=event["payload"],
        payload_type=event["payload_type"],
        payload_bytes=event["payload_bytes"],
        payload_digest=event["payload_digest"],
        is_truncated=event["is_truncated"],
        masked=masked,
        links=event["links"],
        opening=event["opening"],
    )
