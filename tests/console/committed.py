"""A record that is in the store and in a witnessed transparency log, as the two sinks would have left it."""

import time
from collections.abc import Sequence
from itertools import chain
from typing import Any

import clickhouse_connect
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from schemas.config import find_settings
from schemas.events import ControlKind, EventBatch, RetentionAction
from schemas.holds import encode_payload
from schemas.runtime import Home, write_private
from schemas.wire import framing
from schemas.wire.control import sign_entry
from sinks.clickhouse.client import StoreClient
from sinks.clickhouse.progress import ProgressLedger
from sinks.clickhouse.writer import EventWriter
from sinks.columns import decode_batch
from sinks.origins import Position
from sinks.reader import Batch
from sinks.transparency.hold_leaf import make_hold_leaf
from sinks.transparency.leaf import Coordinates, encode_key, encode_retention
from sinks.transparency.log import Log
from sinks.transparency.merkle import hash_leaf
from sinks.transparency.note import (
    ED25519,
    Checkpoint,
    KeySigner,
    Verifier,
    cosign_checkpoint,
    encode_note,
    sign_checkpoint,
)
from sinks.transparency.place import embedded_witness, find_origin, log_directory, state_directory
from sinks.transparency.rotation import list_keys
from sinks.transparency.storage import DirectoryStorage
from sinks.transparency.tiles import frame_entry
from sinks.transparency.walk import derive_leaves
from tests.sinks.row_values import row_values


class Committed:
    """See above. `log_id` keeps tests that share a store apart."""

    def __init__(self, home: Home, log_id: str = "raw-log-1") -> None:
        self.home, self.log_id = home, log_id
        settings = find_settings(home)
        self.writer = StoreClient(settings, home, "writer")
        self._settings = settings
        self._log = Log(DirectoryStorage(log_directory(home)), state_directory(home), find_origin(settings, home))
        self._log.open()
        self._offset = 0

    def store(self, batches: Sequence[EventBatch], skip: Sequence[int] = ()) -> None:
        """Rows and progress; the batches whose place is in `skip` get none."""
        made = [self._as_batch(batch) for batch in batches]
        kept = [batch for place, batch in enumerate(made) if place not in skip]
        if kept:
            EventWriter(self.writer).store_rows(kept, "", False)
        ledger = ProgressLedger(self.writer, "clickhouse")
        for batch in made:
            ledger.write({batch.partition: Position(batch.log_id, batch.offset)})

    def commit(self, batches: Sequence[EventBatch]) -> None:
        """Leaves."""
        leaves = [derive_leaves(framing.encode(batch)) for batch in batches]
        framed, hashes = [leaf.framed for leaf in leaves], [leaf.hashes for leaf in leaves]
        self._log.append(list(chain.from_iterable(framed)), list(chain.from_iterable(hashes)), {})

    def commit_action(self, action: RetentionAction) -> None:
        """A RETENTION leaf."""
        body = framing.encode(action)[10:]
        where = Coordinates("retention", 0, self._offset)
        entry = encode_retention(where, framing.current_fingerprint("RetentionAction"), body)
        self._offset += 1
        self._log.append([frame_entry(entry)], [hash_leaf(entry)], {})

    def commit_hold(self, id: str, payload: dict[str, Any]) -> None:
        """A HOLD leaf, as of an entry of control that the home's API signed."""
        key = self.home.signing_key("api")
        entry = sign_entry(ControlKind.LEGAL_HOLD, id, encode_payload(payload), "api", key)
        leaf = make_hold_leaf(Coordinates("control", 0, self._offset), entry, key.public_key())
        self._offset += 1
        self._log.append([frame_entry(leaf)], [hash_leaf(leaf)], {})

    def move_to_held(self, batches: Sequence[EventBatch]) -> None:
        """Rows of these batches as a legal hold leaves them."""
        rows = self.rows(batches)
        classes = rows["retention_class"]
        held = {**rows, "retention_class": ["held"] * len(classes), "held_from": classes}
        self.writer.insert("events", held)

    def publish(self, is_witnessed: bool = True) -> bytes:
        """Sign, cosign, publish; the checkpoint."""
        head = self._log.head()
        checkpoint = Checkpoint(self._log.origin, head.size, head.root)
        signatures = [sign_checkpoint(checkpoint, KeySigner(self.home.signing_key("log")))]
        if is_witnessed:
            key, name = KeySigner(self.home.signing_key("witness")), embedded_witness(self.home).name
            signatures.append(cosign_checkpoint(checkpoint.text, name, key, int(time.time())))
        note = encode_note(checkpoint.text, signatures)
        self._log.stage(head)
        self._log.publish(head, note)
        return note

    def rotate(self) -> None:
        """The log's key announces a fresh one in a leaf, hands over to it and is gone, as the sequencer does it."""
        keys, storage = list_keys(self.home, self._log.origin), DirectoryStorage(log_directory(self.home))
        fresh = Ed25519PrivateKey.generate()
        following = Verifier(self._log.origin, ED25519, KeySigner(fresh).public_key)
        index, entry = self._log.size, encode_key(following.vkey)
        self._log.append([frame_entry(entry)], [hash_leaf(entry)], {})
        storage.write(f"keys/{index}", self.publish())
        known = storage.read("keys/list") or b""
        storage.write("keys/list", known + f"{index} {following.vkey}\n".encode())
        (self.home.public / "log.origin").write_text(self._log.origin)
        write_private(self.home.public / "log.keys", "".join(f"{key.vkey}\n" for key in [*keys, following]).encode())
        write_private(self.home.secrets / "log.key", fresh.private_bytes_raw())
        write_private(self.home.public / "log.pub", following.public_key)

    def delete(self, where: str) -> None:
        """As a database root would: rows go without an order."""
        client = clickhouse_connect.get_client(
            dsn=f"{self._settings.store_url()}/custody",
            username="retention",
            password=self.home.read_secret("store/retention.password"),
            autogenerate_session_id=False,
        )
        try:
            client.command(f"ALTER TABLE custody.events DELETE WHERE {where}", settings={"log_comment": "ERASE none"})
        finally:
            client.close()

    def rows(self, batches: Sequence[EventBatch]) -> dict[str, list[Any]]:
        """What the sink would insert, as values."""
        return row_values(batches)

    def close(self) -> None:
        self.writer.close()
        self._log.close()

    def _as_batch(self, batch: EventBatch) -> Batch:
        data = framing.encode(batch)
        assert batch.origin is not None
        origin = batch.origin
        return Batch(origin.log_id, origin.partition, origin.offset, origin.offset, len(data), decode_batch(data))
