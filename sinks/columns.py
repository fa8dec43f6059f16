"""An EventBatch read straight into columns, with the exact bytes of each event.

A generic Avro reader builds a dict per event and forgets where the event stood. Here a decoder is generated from each
version's `.avsc`, straight-line code per event: strings stay bytes, since ClickHouse takes bytes, and each event's own
bytes become `canonical`, the Avro binary of `StoredEvent`: fingerprint, session context, event without its opening. So
canonical depends on nothing but the record that is on Kafka.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from schemas.errors import RecordError
from schemas.wire import framing
from schemas.wire.framing import Registry

RECORD: Final = "EventBatch"
EMPTY: Final[dict[Any, Any]] = {}
"""Shared by every event whose map is empty: never written to."""

Columns = dict[str, list[Any]]
"""Field name -> one value an event: bytes, int, bool, sequence or dict (keys and strings inside are bytes too)."""


@dataclass(frozen=True, slots=True)
class DecodedBatch:
    """A batch in columns. `sessions` are contexts as field dicts, `session` and `position` have one entry an event."""

    origin: tuple[str, int, int] | None
    proxy_id: str
    proxy_epoch: str
    batch_seq: int
    rule_version: str
    sessions: list[dict[str, Any]]
    session: list[int]
    columns: Columns
    canonical: list[bytes]

    def __len__(self) -> int:
        return len(self.session)


def decode_batch(data: bytes, registry: Registry | None = None) -> DecodedBatch:
    """The columns of a framed EventBatch. Raises RecordError for anything else; Unreachable as framing does."""
    decoder, start = _find_decoder(data, registry)
    return decoder.decode(data, start)


def decode_origin(data: bytes, registry: Registry | None = None) -> tuple[str, int, int]:
    """(log_id, partition, offset) of a framed EventBatch, without reading its events. Raises RecordError."""
    decoder, start = _find_decoder(data, registry)
    origin = decoder.decode_origin(data, start)
    if origin is None:
        raise RecordError("a batch without origin")
    return origin


def _find_decoder(data: bytes, registry: Registry | None) -> tuple["_Decoder", int]:
    """The decoder of the version that the framing names, and where the body starts."""
    _, fingerprint, start = framing.find_body(data, registry)
    decoder = _DECODERS.get(fingerprint)
    if decoder is None:
        raise RecordError("not an EventBatch of a known version")
    return decoder, start


def _read_long(b: bytes, p: int) -> tuple[int, int]:
    """A zigzag varint of at most 64 bits and the position after it."""
    n = shift = 0
    while True:
        byte = b[p]
        p += 1
        n |= (byte & 127) << shift
        if byte < 128:
            return (n >> 1) ^ -(n & 1), p
        shift += 7
        if shift > 63:
            raise RecordError("a number longer than 64 bits")


def _read_length(b: bytes, p: int) -> tuple[int, int]:
    n, p = _read_long(b, p)
    if n < 0:
        raise RecordError("a negative length")
    return n, p


def _write_long(n: int) -> bytes:
    n = (n << 1) ^ (n >> 63)
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)
    return bytes(out)


class _Generator:
    """Writes Python source that reads Avro types; `v` is the value read, `p` the position in `b`."""

    def __init__(self) -> None:
        self.helpers: list[str] = []
        self.names: dict[str, str] = {}
        self.constants: dict[str, Any] = {
            "long": _read_long,
            "length": _read_length,
            "RecordError": RecordError,
            "EMPTY": EMPTY,
        }

    def emit(self, type_: Any, give: str, indent: str) -> list[str]:
        """Lines that read a value of the type; `give` is a template that takes the value's expression."""
        name = type_["type"] if isinstance(type_, dict) else type_
        if name in ("array", "map"):
            call, empty = self.helper(type_), "()" if name == "array" else "EMPTY"
            lines = [f"if b[p] == 0: p += 1; {give.format(empty)}", f"else: v, p = {call}(b, p); {give.format('v')}"]
        elif isinstance(type_, list) or name == "record" or name in self.names:
            lines = [f"v, p = {self.helper(type_)}(b, p)", give.format("v")]
        elif name in ("string", "bytes"):
            # Lengths of one and two bytes (to 8191) are read in place: a call costs more than the rest.
            lines = ["n = b[p]", "if not n & 129: n >>= 1; p += 1"]
            lines += ["elif not n & 1 and (m := b[p + 1]) < 128: n = (n & 126 | m << 7) >> 1; p += 2"]
            lines += ["else: n, p = length(b, p)", "q = p + n", give.format("b[p:q]"), "p = q"]
        elif name in ("long", "int"):
            lines = ["n = b[p]", "if n < 128: n = (n >> 1) ^ -(n & 1); p += 1"]
            lines += ["elif (m := b[p + 1]) < 128: n = n & 127 | m << 7; n = (n >> 1) ^ -(n & 1); p += 2"]
            lines += ["else: n, p = long(b, p)", give.format("n")]
        elif name == "enum":
            symbols = f"S{len(self.constants)}"
            self.constants[symbols] = tuple(symbol.encode() for symbol in type_["symbols"])
            lines = ["n, p = length(b, p)", give.format(f"{symbols}[n]")]
        elif name == "boolean":
            lines = ["p += 1", give.format("b[p - 1] == 1")]
        elif name == "null":
            lines = [give.format("None")]
        else:
            raise TypeError(f"no decoder for the Avro type {name}")
        return [indent + line for line in lines]

    def helper(self, type_: Any) -> str:
        """The name of a function (b, p) -> (value, p) for a compound type."""
        if isinstance(type_, str):
            return self.names[type_]
        name = f"read_{len(self.helpers)}"
        self.helpers.append("")
        slot = len(self.helpers) - 1
        if isinstance(type_, list):
            body = self._union(type_)
        elif type_["type"] == "array":
            body = self._blocks("[]", self.emit(type_["items"], "items.append({})", " " * 12))
        elif type_["type"] == "map":
            entry = self.emit("string", "key = {}", " " * 12)
            body = self._blocks("{}", entry + self.emit(type_["values"], "items[key] = {}", " " * 12))
        else:
            self.names[type_["name"]] = self.names[f"{type_.get('namespace', '')}.{type_['name']}"] = name
            body = ["    r = {}"]
            for field in type_["fields"]:
                body += self.emit(field["type"], f"r[{field['name']!r}] = {{}}", "    ")
            body += ["    return r, p"]
        self.helpers[slot] = "\n".join([f"def {name}(b, p):", *body])
        return name

    def _union(self, branches: list[Any]) -> list[str]:
        body = ["    which = b[p] >> 1", "    p += 1"]
        for index, branch in enumerate(branches):
            body += [f"    if which == {index}:", *self.emit(branch, "v = {}", " " * 8), "        return v, p"]
        return [*body, "    raise RecordError('an unknown union branch')"]

    def _blocks(self, empty: str, item: list[str]) -> list[str]:
        """Arrays and maps come in blocks: a count (negative: followed by a size), items, until a count of 0."""
        return [
            f"    items = {empty}",
            "    while True:",
            "        count, p = long(b, p)",
            "        if count == 0: return items, p",
            "        if count < 0: count = -count; _, p = long(b, p)",
            "        for _ in range(count):",
            *item,
            "            if p > len(b): raise RecordError('a truncated batch')",
        ]


class _Decoder:
    """The generated decoder of one version of EventBatch."""

    def __init__(self, document: dict[str, Any]) -> None:
        fields = {field["name"]: field["type"] for field in document["fields"]}
        if next(iter(fields)) != "origin" or list(fields)[-2:] != ["sessions", "events"]:
            raise TypeError("EventBatch must begin with origin and end with sessions, events")
        self.fingerprint = framing.schema_fingerprint(document)
        self.event_fields = [field["name"] for field in _event_type(fields)["fields"]]
        self._canonical_prefix = _write_long(len(self.fingerprint)) + self.fingerprint
        self._compile(document, fields)

    def _compile(self, document: dict[str, Any], fields: Mapping[str, Any]) -> None:
        generator = _Generator()
        head = {"type": "record", "name": "Head", "fields": [f for f in document["fields"] if f["name"] != "events"]}
        for field in head["fields"]:
            if field["name"] == "sessions":
                context = field["type"]["items"]
        # Contexts are read one by one, to know the bytes of each.
        head["fields"] = [field for field in head["fields"] if field["name"] != "sessions"]
        names = {
            "origin": generator.helper(fields["origin"]),
            "head": generator.helper(head),
            "context": generator.helper(context),
        }
        source = _events_source(generator, _event_type(fields))
        namespace = dict(generator.constants)
        text = "\n".join([*generator.helpers, source])
        # The source comes from the .avsc files of this repository and from nothing else.
        exec(compile(text, "<EventBatch decoder>", "exec"), namespace)  # noqa: S102
        self._origin: Callable[[bytes, int], tuple[Any, int]] = namespace[names["origin"]]
        self._head: Callable[[bytes, int], tuple[Any, int]] = namespace[names["head"]]
        self._context: Callable[[bytes, int], tuple[Any, int]] = namespace[names["context"]]
        self._events: Callable[..., int] = namespace["read_events"]

    def decode_origin(self, b: bytes, p: int) -> tuple[str, int, int] | None:
        try:
            return _as_origin(self._origin(b, p)[0])
        except (IndexError, UnicodeDecodeError):
            raise RecordError("a truncated batch") from None

    def decode(self, b: bytes, p: int) -> DecodedBatch:
        try:
            return self._decode(b, p)
        except (IndexError, UnicodeDecodeError):
            raise RecordError("a truncated batch") from None

    def _decode(self, b: bytes, p: int) -> DecodedBatch:
        head, p = self._head(b, p)
        sessions, prefixes, p = self._read_sessions(b, p)
        columns: Columns = {name: [] for name in self.event_fields}
        session: list[int] = []
        canonical: list[bytes] = []
        p = self._events(b, p, prefixes, session, canonical, *columns.values())
        if p != len(b):
            raise RecordError("bytes after the end of the batch" if p < len(b) else "a truncated batch")
        return DecodedBatch(
            _as_origin(head["origin"]),
            head["proxy_id"].decode(),
            head["proxy_epoch"].decode(),
            head["batch_seq"],
            head["rule_version"].decode(),
            sessions,
            session,
            columns,
            canonical,
        )

    def _read_sessions(self, b: bytes, p: int) -> tuple[list[dict[str, Any]], list[bytes], int]:
        """Contexts, what goes before each one's events in canonical form, and the position after them."""
        sessions: list[dict[str, Any]] = []
        prefixes: list[bytes] = []
        while True:
            count, p = _read_long(b, p)
            if count == 0:
                return sessions, prefixes, p
            if count < 0:
                count = -count
                _, p = _read_long(b, p)
            for _ in range(count):
                context, end = self._context(b, p)
                if end > len(b):
                    raise RecordError("a truncated batch")
                sessions.append(context)
                prefixes.append(self._canonical_prefix + b[p:end])
                p = end


def _as_origin(value: dict[str, Any] | None) -> tuple[str, int, int] | None:
    return (value["log_id"].decode(), value["partition"], value["offset"]) if value else None


def _event_type(fields: Mapping[str, Any]) -> dict[str, Any]:
    pair = fields["events"]["items"]["fields"]
    if [field["name"] for field in pair] != ["session", "event"]:
        raise TypeError("SessionEvent must be session, event")
    event: dict[str, Any] = pair[1]["type"]
    return event


def _events_source(generator: _Generator, event: dict[str, Any]) -> str:
    """`read_events(b, p, prefixes, session, canonical, *columns) -> p`, straight-line per event."""
    names = [field["name"] for field in event["fields"]]
    lines = [
        f"def read_events(b, p, prefixes, session, canonical, {', '.join(f'c_{name}' for name in names)}):",
        "    add_session = session.append; add_canonical = canonical.append",
        *(f"    a_{name} = c_{name}.append" for name in names),
        "    size = len(b)",
        "    while True:",
        "        count, p = long(b, p)",
        "        if count == 0: return p",
        "        if count < 0: count = -count; _, p = long(b, p)",
        "        for _ in range(count):",
        "            n, p = length(b, p)",
        "            if n >= len(prefixes): raise RecordError('an event of an unknown session')",
        "            add_session(n); prefix = prefixes[n]; start = p",
    ]
    for field in event["fields"]:
        if field["name"] == "opening":
            lines.append("            cut = p")
        lines += generator.emit(field["type"], f"a_{field['name']}({{}})", " " * 12)
        if field["name"] == "opening":
            lines.append("            resume = p")
    lines += [
        "            if p > size: raise RecordError('a truncated batch')",
        # An empty opening is one zero byte; fields a later version adds after it follow.
        "            add_canonical(prefix + b[start:cut] + b'\\x00' + b[resume:p])",
    ]
    return "\n".join(lines)


_DECODERS: Final = {
    decoder.fingerprint: decoder
    for version in framing.versions_of(RECORD)
    for decoder in [_Decoder(framing.load_avsc(RECORD, version))]
}
