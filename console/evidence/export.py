"""Writes evidence: the leaves that were asked for, their proofs, and the records that open them, in one file.

What is missing is exported, too: a leaf without its record is how the reader learns that something was there.
"""

import base64
import json
import os
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from console.evidence.bundle import make_verifier
from console.evidence.html import render_report
from console.hold_audit import disclose_holds
from console.integrity import ReadHolds
from console.store import Store
from schemas.config import Settings
from schemas.errors import ConfigError
from schemas.runtime import Home, now_us
from schemas.wire import framing
from sinks.transparency.evidence import (
    CHECKPOINT_FILE,
    FORMAT,
    MANIFEST,
    MAX_RECORDS,
    POLICY,
    RECORDS,
    EvidenceReport,
    verify_evidence,
)
from sinks.transparency.hold_evidence import HOLDS_FILE
from sinks.transparency.key_chain import KEYS_FILE, Handover, encode_handovers
from sinks.transparency.leaf import EventLeaf, HoldLeaf, KeyLeaf, Leaf, RetentionLeaf, parse_leaf
from sinks.transparency.log import LogReader, Readable
from sinks.transparency.note import parse_checkpoint, parse_note
from sinks.transparency.place import find_log
from sinks.transparency.proof import LeafProof, encode_leaf_proof
from sinks.transparency.quorum import encode_policy
from sinks.transparency.reading import iterate_bundles, read_head
from sinks.transparency.rotation import extend_policy
from sinks.transparency.storage import DirectoryStorage

CHUNK: Final = 2_000
ROWS: Final = """
SELECT offset, position, opening, canonical FROM custody.events
WHERE log_id = {log_id:String} AND partition = {partition:UInt32}
  AND offset >= {first:UInt64} AND offset <= {last:UInt64}
"""
SESSIONS_OF_AGENT: Final = "SELECT DISTINCT session_id FROM custody.events WHERE agent = {agent:String}"
README: Final = """Evidence from Custody, the flight recorder for AI agents.

  python verify.py THIS-FILE.zip --policy POLICY

verify.py needs Python 3.11 or newer and the package `cryptography`, no network and no Custody. Take it, and the policy
(whose log, which witnesses), from somebody you trust: what is in this file was written by whom the evidence is about.
Exit code 0: everything holds; 1: a violation was found; 2: it could not be decided. `custody evidence verify` does the
same.

report.html is for reading; nothing in it is proof.
"""

Key = tuple[str, int, int, int]
Body = tuple[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Selection:
    """Which events: of a session (the first characters of its id), of an agent, of [since, until) in µs."""

    session: str = ""
    agent: str = ""
    since: int = 0
    until: int = 0

    def takes(self, leaf: EventLeaf, sessions: frozenset[str]) -> bool:
        """`sessions` are those of the agent."""
        if not leaf.session_id.startswith(self.session) or (self.agent and leaf.session_id not in sessions):
            return False
        return self.since <= leaf.at < (self.until or 1 << 62)


def export_evidence(
    store: Store,
    settings: Settings,
    home: Home,
    selection: Selection,
    path: Path,
    read_holds: ReadHolds = lambda: None,
) -> EvidenceReport:
    """Write the file and verify it. `read_holds` gives control's legal holds; None: they are not disclosed.

    Raises ConfigError, ProofError, Unreachable, QueryFailed.
    """
    place = find_log(settings, home)
    storage = DirectoryStorage(place.directory)
    place = replace(place, policy=extend_policy(storage, place.policy))
    head = read_head(storage, place.policy)
    note = storage.read("checkpoint") or b""
    reader = LogReader(storage, head.checkpoint.size)
    chosen = list(_choose(reader, selection, _find_sessions(store, selection)))
    ids = {leaf.session_id for _, _, leaf in chosen if isinstance(leaf, EventLeaf)}
    if not ids:
        raise ConfigError("the log has no event like that: nothing was written")
    if selection.session and len(ids) > 1:
        raise ConfigError(f"several sessions begin with {selection.session!r}")
    if len(chosen) > MAX_RECORDS:
        raise ConfigError(f"{len(chosen)} leaves are too many for one file (at most {MAX_RECORDS}): ask for less")
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with zipfile.ZipFile(temporary, "x", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(POLICY, encode_policy(place.policy))
            archive.writestr(CHECKPOINT_FILE, note)
            archive.writestr(MANIFEST, json.dumps(_make_manifest(selection, head.checkpoint.origin), indent=1))
            _write_schemas(archive)
            _write_keys(archive, storage, reader, chosen)
            _write_holds(archive, store, chosen, read_holds)
            _write_records(archive, store, chosen)
            for index, _, _ in chosen:
                proof = LeafProof(index, reader.prove_inclusion(index), note)
                archive.writestr(f"proofs/{index}.tlog-proof", encode_leaf_proof(proof))
            archive.writestr("verify.py", make_verifier())
            archive.writestr("README.txt", README)
        report = verify_evidence(temporary, now_us())
        with zipfile.ZipFile(temporary, "a", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("report.html", render_report(report, temporary))
        temporary.replace(path)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    finally:
        temporary.unlink(missing_ok=True)
    return report


def _find_sessions(store: Store, selection: Selection) -> frozenset[str]:
    """The agent's sessions by the store, which alone knows agents."""
    if not selection.agent:
        return frozenset()
    return frozenset(row["session_id"] for row in store.rows(SESSIONS_OF_AGENT, {"agent": selection.agent}))


def _choose(reader: LogReader, selection: Selection, sessions: frozenset[str]) -> Iterator[tuple[int, bytes, Leaf]]:
    """The events that were asked for, every order of retention and every hold: what is gone needs its cause. And
    every key that the log announced.

    A session's events run without holes from the first to the last that was asked for, whatever its clock did.
    """
    spans: dict[str, tuple[int, int]] = {}
    for _, _, leaf in _iterate_leaves(reader):
        if isinstance(leaf, EventLeaf) and selection.takes(leaf, sessions):
            low, high = spans.get(leaf.session_id, (leaf.seq, leaf.seq))
            spans[leaf.session_id] = (min(low, leaf.seq), max(high, leaf.seq))
    for index, entry, leaf in _iterate_leaves(reader):
        if isinstance(leaf, EventLeaf):
            low, high = spans.get(leaf.session_id, (1, 0))
            if low <= leaf.seq <= high:
                yield index, entry, leaf
        elif isinstance(leaf, RetentionLeaf | HoldLeaf | KeyLeaf):
            yield index, entry, leaf


def _iterate_leaves(reader: LogReader) -> Iterator[tuple[int, bytes, Leaf]]:
    for first, entries in iterate_bundles(reader):
        for index, entry in enumerate(entries, first):
            yield index, entry, parse_leaf(entry)


def _make_manifest(selection: Selection, origin: str) -> dict[str, Any]:
    asked = {name: value for name, value in asdict(selection).items() if value}
    return {"format": FORMAT, "origin": origin, "written_at": now_us(), "selection": asked}


def _write_schemas(archive: zipfile.ZipFile) -> None:
    for record in ("EventBatch", "RetentionAction"):
        for version in framing.versions_of(record):
            document = framing.load_avsc(record, version)
            name = f"schemas/{framing.schema_fingerprint(document).hex()}.avsc"
            archive.writestr(name, json.dumps(document, indent=1))


def _write_keys(
    archive: zipfile.ZipFile, storage: Readable, reader: LogReader, chosen: list[tuple[int, bytes, Leaf]]
) -> None:
    handovers: dict[int, Handover] = {}
    for index, _, leaf in chosen:
        note = storage.read(f"keys/{index}") if isinstance(leaf, KeyLeaf) else None
        if note is not None:
            size = parse_checkpoint(parse_note(note).text).size
            handovers[index] = Handover(note, tuple(reader.prove_consistency(size)))
    if handovers:
        archive.writestr(KEYS_FILE, encode_handovers(handovers))


def _write_holds(
    archive: zipfile.ZipFile, store: Store, chosen: list[tuple[int, bytes, Leaf]], read_holds: ReadHolds
) -> None:
    leaves = [(index, leaf) for index, _, leaf in chosen if isinstance(leaf, HoldLeaf)]
    known = read_holds() if leaves else None
    if known is not None:
        records = [leaf for _, _, leaf in chosen if isinstance(leaf, EventLeaf)]
        archive.writestr(HOLDS_FILE, json.dumps(disclose_holds(store, leaves, known, records), indent=1))


def _write_records(archive: zipfile.ZipFile, store: Store, chosen: list[tuple[int, bytes, Leaf]]) -> None:
    with archive.open(RECORDS, "w", force_zip64=True) as file:
        for start in range(0, len(chosen), CHUNK):
            chunk = chosen[start : start + CHUNK]
            bodies = _read_bodies(store, [leaf for _, _, leaf in chunk if isinstance(leaf, EventLeaf)])
            for index, entry, leaf in chunk:
                opening, canonical = bodies.get(_key(leaf), (b"", b"")) if isinstance(leaf, EventLeaf) else (b"", b"")
                file.write(encode_record(index, entry, opening, canonical))


def encode_record(index: int, entry: bytes, opening: bytes, canonical: bytes) -> bytes:
    """A line of records.jsonl; without `canonical` the record is gone."""
    line = {
        "index": index,
        "leaf": base64.b64encode(entry).decode(),
        "opening": opening.hex(),
        "canonical": base64.b64encode(canonical).decode(),
    }
    return json.dumps(line).encode() + b"\n"


def _key(leaf: EventLeaf) -> Key:
    return (leaf.origin.log_id, leaf.origin.partition, leaf.origin.offset, leaf.position)


def _read_bodies(store: Store, leaves: Iterable[EventLeaf]) -> Mapping[Key, Body]:
    """Opening and canonical bytes of what is still there."""
    wanted = {_key(leaf) for leaf in leaves}
    found: dict[Key, Body] = {}
    for log_id, partition, first, last in _spans(wanted):
        where = {"log_id": log_id, "partition": partition, "first": first, "last": last}
        for row in store.rows(ROWS, where, as_bytes=True):
            key = (log_id, partition, row["offset"], row["position"])
            if key in wanted:
                found[key] = (row["opening"], row["canonical"])
    return found


def _spans(wanted: set[Key]) -> Iterator[tuple[str, int, int, int]]:
    """(log_id, partition, first, last) that cover the wanted origins, without what lies far between them."""
    origins = sorted({key[:3] for key in wanted})
    start = 0
    for place in range(1, len(origins) + 1):
        here = origins[place - 1]
        if place == len(origins) or origins[place][:2] != here[:2] or origins[place][2] > here[2] + 100:
            yield (*origins[start][:2], origins[start][2], here[2])
            start = place
