"""Evidence as a file, made without a store; and the same file with something done to it."""

import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from console.evidence.export import encode_record
from schemas.events import EventBatch, RetentionAction
from schemas.wire import framing
from sinks.columns import decode_batch
from sinks.transparency.evidence import FORMAT
from sinks.transparency.leaf import Coordinates, EventLeaf, encode_retention, parse_leaf
from sinks.transparency.log import LogReader
from sinks.transparency.note import (
    COSIGNATURE,
    Checkpoint,
    KeySigner,
    Verifier,
    cosign_checkpoint,
    encode_note,
    sign_checkpoint,
)
from sinks.transparency.proof import LeafProof, encode_leaf_proof
from sinks.transparency.quorum import Witness, format_policy
from sinks.transparency.storage import DirectoryStorage
from sinks.transparency.walk import derive_leaves
from tests.sinks.transparency.logs import ORIGIN, SIGNER, VERIFIER, append, open_log

WITNESS = KeySigner(Ed25519PrivateKey.from_private_bytes(b"\x22" * 32))
WITNESS_KEY = Verifier("w.example.test", COSIGNATURE, WITNESS.public_key)
POLICY = format_policy([VERIFIER], [Witness("w", WITNESS_KEY, "")], 1)
Files = dict[str, bytes]


def make_files(
    directory: Path,
    batches: Sequence[EventBatch],
    *,
    actions: Sequence[RetentionAction] = (),
    gone: Callable[[EventLeaf], bool] = lambda leaf: False,
    left_out: Callable[[EventLeaf], bool] = lambda leaf: False,
    is_witnessed: bool = True,
) -> Files:
    """What such a file holds, by name. `gone` records are exported without their bytes, `left_out` not at all."""
    bodies, entries = {}, []
    for batch in batches:
        data = framing.encode(batch)
        entries += [item[2:] for item in derive_leaves(data).framed]
        columns = decode_batch(data).columns
        assert batch.origin is not None
        for position, canonical in enumerate(columns.canonical):
            key = (batch.origin.log_id, batch.origin.partition, batch.origin.offset, position)
            bodies[key] = (columns.openings[position], canonical)
    for number, action in enumerate(actions):
        body = framing.encode(action)
        entries.append(encode_retention(Coordinates("retention", 0, number), body[2:10], body[10:]))
    log = open_log(directory)
    append(log, entries)
    head = log.head()
    log.stage(head)
    log.close()
    checkpoint = Checkpoint(ORIGIN, head.size, head.root)
    signatures = [sign_checkpoint(checkpoint, SIGNER)]
    if is_witnessed:
        signatures.append(cosign_checkpoint(checkpoint.text, WITNESS_KEY.name, WITNESS, 1_790_000_000))
    note = encode_note(checkpoint.text, signatures)
    reader = LogReader(DirectoryStorage(directory / "log"), head.size)
    files = {
        "manifest.json": json.dumps({"format": FORMAT, "origin": ORIGIN, "selection": {}}).encode(),
        "policy.txt": POLICY.encode(),
        "checkpoint": note,
        "records.jsonl": b"",
    }
    for record in ("EventBatch", "RetentionAction"):
        document = framing.load_avsc(record)
        files[f"schemas/{framing.schema_fingerprint(document).hex()}.avsc"] = json.dumps(document).encode()
    for index, entry in enumerate(entries):
        leaf = parse_leaf(entry)
        if entry[1] == 2 or (isinstance(leaf, EventLeaf) and left_out(leaf)):
            continue
        body = (b"", b"")
        if isinstance(leaf, EventLeaf) and not gone(leaf):
            body = bodies[(*leaf.origin, leaf.position)]
        files["records.jsonl"] += encode_record(index, entry, *body)
        proof = LeafProof(index, reader.prove_inclusion(index), note)
        files[f"proofs/{index}.tlog-proof"] = encode_leaf_proof(proof)
    return files


def pack(path: Path, files: Mapping[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def edit_records(files: Files, change: Callable[[dict[str, object]], dict[str, object] | None]) -> Files:
    """The files with each line of records.jsonl changed, or left out."""
    lines = [change(json.loads(line)) for line in files["records.jsonl"].splitlines()]
    text = b"".join(json.dumps(line).encode() + b"\n" for line in lines if line is not None)
    return {**files, "records.jsonl": text}
