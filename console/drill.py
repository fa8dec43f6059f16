"""The attack drill: acts as root of the database and of the log on a copy, and says what caught each attack.

The copy holds the log's entries and the rows behind them, in memory and in a directory that goes at the end. It is
signed with keys of the drill's own, so that the log's key can be "stolen" without being touched. Nothing of the real
record, log or witness is written.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from console.integrity import retention_schemas
from schemas.errors import ConfigError, ProofError
from schemas.events import RetentionAction, RetentionVerb
from schemas.wire import framing
from schemas.wire.avro import blob
from sinks.clickhouse.row_check import judge_row
from sinks.transparency.audit import Auditor, Found, Ledger
from sinks.transparency.cosigning import make_request
from sinks.transparency.leaf import (
    BatchLeaf,
    Coordinates,
    EventLeaf,
    HoldLeaf,
    KeyLeaf,
    commit,
    encode_event,
    encode_hold,
    encode_key,
    encode_retention,
    parse_leaf,
)
from sinks.transparency.log import Log, LogReader
from sinks.transparency.merkle import hash_leaf
from sinks.transparency.note import ED25519, Checkpoint, KeySigner, Note, Verifier, parse_signature, sign_checkpoint
from sinks.transparency.orders import DAY_US, Holds, HoldSpan, Orders, day_of
from sinks.transparency.quorum import Policy, Witness, format_policy, parse_policy
from sinks.transparency.reading import check_continues, iterate_bundles, read_head, verify_head, verify_tree
from sinks.transparency.storage import DirectoryStorage
from sinks.transparency.tiles import WIDTH, bundle_path, frame_entry
from sinks.transparency.witness import WitnessState

ORIGIN: Final = "drill.custody.local/log"
WITNESS: Final = "drill.custody.local/witness"
KEPT_DAYS: Final = 30
HOLD: Final = "drill-hold"
"""Of the drill's own: it takes in everything."""

Key = tuple[str, int, int, int]
Row = Mapping[str, Any]
Rows = dict[Key, Row]


@dataclass(frozen=True, slots=True)
class Caught:
    """One attack and what it came to. `by` is empty when nothing noticed it."""

    attack: str
    by: str
    finding: str
    needs_witness: bool = False


@dataclass(slots=True)
class Copy:
    """A log and its rows. `witness` remembers what it signed; its key is not the attacker's."""

    directory: Path
    signer: KeySigner
    witness: WitnessState
    entries: list[bytes]
    rows: Rows
    now_us: int
    policy: Policy = field(init=False)
    kept: list[Row] = field(default_factory=list)  # so that no identity is used again
    judged: dict[int, Found] = field(default_factory=dict)  # by identity: most rows are the same in every attack

    def __post_init__(self) -> None:
        key = Verifier(ORIGIN, ED25519, self.signer.public_key)
        self.policy = parse_policy(format_policy([key], [Witness("witness", self.witness.verifier, "")], 1))

    def write(self, name: str, entries: Sequence[bytes], old_sizes: Sequence[int] = ()) -> DirectoryStorage:
        """A log of these entries, signed by the log's key; the witness is asked at each of `old_sizes` and at the end.

        What it refuses has no cosignature.
        """
        storage = DirectoryStorage(self.directory / name / "log")
        log = Log(storage, self.directory / name / "state", ORIGIN)
        try:
            log.open()
            for size in (*old_sizes, len(entries)):
                added = entries[log.size : size]
                log.append([frame_entry(entry) for entry in added], [hash_leaf(entry) for entry in added], {})
                head = log.head()
                checkpoint = Checkpoint(ORIGIN, head.size, head.root)
                note = Note(checkpoint.text, (sign_checkpoint(checkpoint, self.signer),))
                log.stage(head)
                log.publish(head, self._ask(note, LogReader(storage, head.size)).encode())
                if size in old_sizes:
                    _copy_log(storage, DirectoryStorage(self.directory / "older"))
        finally:
            log.close()
        return storage

    def _ask(self, note: Note, reader: LogReader) -> Note:
        old = 0
        for _ in range(2):
            proof = reader.prove_consistency(old) if old <= reader.size else []
            answer = self.witness.add_checkpoint(make_request(old, proof, note))
            if answer.status == 200:
                return Note(note.text, (*note.signatures, parse_signature(answer.body.decode().rstrip("\n"))))
            if not answer.body.strip().isdigit():
                break
            old = int(answer.body)
        return note

    def check(self, storage: DirectoryStorage, rows: Mapping[Key, Row]) -> tuple[str, str, bool]:
        """(what noticed, the first finding, whether it took the witness); two empty texts when all holds."""
        try:
            head = read_head(storage, self.policy)
            reader = LogReader(storage, head.checkpoint.size)
            orders, spans = Orders(), list[HoldSpan]()

            def note(index: int, leaf: HoldLeaf | KeyLeaf) -> None:
                if isinstance(leaf, HoldLeaf) and leaf.hold_id == HOLD:
                    spans.append(HoldSpan(HOLD, index, None, None))

            verify_tree(reader, head.checkpoint.root, retention_schemas(), orders, note)
        except ProofError as error:
            return "the tree", str(error), False
        try:
            latest = self.witness.read_latest(sha256(ORIGIN.encode()).hexdigest())
            if latest is not None:
                check_continues(reader, head, verify_head(latest, self.policy))
        except ProofError as error:
            return "the witness", f"what it signed last is not continued: {error}", True
        if not head.is_witnessed:
            return "the witness", "the quorum has not signed this head: it contradicts what it signed before", True
        auditor, ledger = Auditor(orders, self.now_us, holds=Holds(spans)), Ledger()
        matched = 0
        for first, entries in iterate_bundles(reader):
            for index, entry in enumerate(entries, first):
                leaf = parse_leaf(entry)
                if isinstance(leaf, EventLeaf):
                    row = rows.get(key_of(leaf))
                    matched += row is not None
                    auditor.judge(index, leaf, None if row is None else self._judge_row(row))
                if isinstance(leaf, EventLeaf | BatchLeaf):
                    ledger.add(index, leaf)
        if auditor.report.findings:
            return "the leaf of the record", auditor.report.findings[0], False
        if len(rows) > matched:
            return "counting rows and leaves", f"{len(rows) - matched} rows have no leaf", False
        if faults := ledger.finish():
            return "the numbers of the leaves", faults[0], False
        return "", "", False

    def _judge_row(self, row: Row) -> Found:
        if id(row) not in self.judged:
            self.judged[id(row)] = judge_row(row)
            self.kept.append(row)
        return self.judged[id(row)]


def key_of(leaf: EventLeaf) -> Key:
    """An event's coordinates."""
    return (leaf.origin.log_id, leaf.origin.partition, leaf.origin.offset, leaf.position)


def make_copy(directory: Path, entries: list[bytes], rows: Rows, now_us: int) -> Copy:
    """A copy whose log is written and witnessed, as large as the real one. Raises ConfigError when it is too small."""
    if len(rows) < 4:
        raise ConfigError("the drill needs a record of at least four events: run `custody demo --keep` first")
    signer = KeySigner(Ed25519PrivateKey.generate())
    key = Verifier(ORIGIN, ED25519, signer.public_key)
    witness = WitnessState(directory / "witness", WITNESS, KeySigner(Ed25519PrivateKey.generate()), [key])
    return Copy(directory, signer, witness, entries, rows, now_us)


def run_drill(copy: Copy) -> list[Caught]:
    """Every attack on a copy. First the copy as it is: that must hold. Raises ProofError when it does not."""
    honest = copy.write("honest", copy.entries, [witnessed_size(copy)])
    by, finding, _ = copy.check(honest, copy.rows)
    if by:
        raise ProofError(f"the copy does not hold before any attack: {finding}")
    found = [_attack_rows(copy, honest, *attack) for attack in ROW_ATTACKS]
    found += [_attack_log(copy, honest, number, *attack) for number, attack in enumerate(LOG_ATTACKS)]
    return found


def witnessed_size(copy: Copy) -> int:
    """The size of the older head that the witness signed, too."""
    return _batch_end(copy.entries, len(copy.entries) // 2)


def _attack_rows(copy: Copy, honest: DirectoryStorage, name: str, act: Callable[[Rows], None]) -> Caught:
    rows = dict(copy.rows)
    act(rows)
    by, finding, needs_witness = copy.check(honest, rows)
    return Caught(name, by, finding, needs_witness)


def _attack_log(
    copy: Copy, honest: DirectoryStorage, number: int, name: str, act: Callable[[Copy, str, DirectoryStorage], Any]
) -> Caught:
    storage, rows = act(copy, f"attack-{number}", honest)
    by, finding, needs_witness = copy.check(storage, rows)
    return Caught(name, by, finding, needs_witness)


def _edit_row(rows: Rows) -> None:
    key, found = next(iter(rows.items()))
    canonical = bytes(found["canonical"])
    rows[key] = {**found, "canonical": canonical[:-1] + bytes((canonical[-1] ^ 1,))}


def _edit_column(rows: Rows) -> None:
    key, found = next(iter(rows.items()))
    rows[key] = {**found, "statement": bytes(found["statement"]) + b" -- and nothing else"}


def _delete_row(rows: Rows) -> None:
    del rows[list(rows)[len(rows) // 2]]


def _swap_rows(rows: Rows) -> None:
    first, second = list(rows)[:2]
    rows[first], rows[second] = rows[second], rows[first]


def _truncate_rows(rows: Rows) -> None:
    for key in list(rows)[-max(1, len(rows) // 4) :]:
        del rows[key]


def _insert_row(rows: Rows) -> None:
    (log_id, partition, offset, position), found = next(iter(rows.items()))
    rows[log_id, partition, offset, position + 1_000_000] = found


ROW_ATTACKS: Final[tuple[tuple[str, Callable[[Rows], None]], ...]] = (
    ("edit a row's committed bytes", _edit_row),
    ("edit a column, leave the committed bytes", _edit_column),
    ("delete a row", _delete_row),
    ("swap two rows", _swap_rows),
    ("truncate the tail of the table", _truncate_rows),
    ("insert a row that nobody sent", _insert_row),
)


def _delete_leaf(copy: Copy, name: str, honest: DirectoryStorage) -> tuple[DirectoryStorage, Rows]:
    """A row and its leaf go, and the log is signed anew with the stolen key."""
    entries, rows = list(copy.entries), dict(copy.rows)
    place = next(n for n in range(len(entries) // 2, len(entries)) if isinstance(parse_leaf(entries[n]), EventLeaf))
    leaf = parse_leaf(entries.pop(place))
    assert isinstance(leaf, EventLeaf)  # noqa: S101 - chosen so
    rows.pop(key_of(leaf), None)
    return copy.write(name, entries), rows


def _edit_entry(copy: Copy, name: str, honest: DirectoryStorage) -> tuple[DirectoryStorage, Rows]:
    """The log's files are altered, and nothing is signed."""
    storage = DirectoryStorage(copy.directory / name / "log")
    _copy_log(honest, storage)
    path = storage.root / bundle_path(0, min(WIDTH, len(copy.entries)))
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes((data[-1] ^ 1,)))
    return storage, copy.rows


def _roll_back(copy: Copy, name: str, honest: DirectoryStorage) -> tuple[DirectoryStorage, Rows]:
    """The log ends earlier, signed anew with the stolen key, and so does the table."""
    entries = copy.entries[: _batch_end(copy.entries, len(copy.entries) * 3 // 4)]
    kept = {key_of(leaf) for entry in entries if isinstance(leaf := parse_leaf(entry), EventLeaf)}
    return copy.write(name, entries), {key: row for key, row in copy.rows.items() if key in kept}


def _roll_back_to_witnessed(copy: Copy, name: str, honest: DirectoryStorage) -> tuple[DirectoryStorage, Rows]:
    """The log's files are put back to an older head that the witness did sign, and the table with them."""
    entries = copy.entries[: witnessed_size(copy)]
    storage = DirectoryStorage(copy.directory / name / "log")
    _copy_log(DirectoryStorage(copy.directory / "older"), storage)
    kept = {key_of(leaf) for entry in entries if isinstance(leaf := parse_leaf(entry), EventLeaf)}
    return storage, {key: row for key, row in copy.rows.items() if key in kept}


def _fork(copy: Copy, name: str, honest: DirectoryStorage) -> tuple[DirectoryStorage, Rows]:
    """Another history of the same length, for another reader."""
    entries = list(copy.entries)
    entries[-1] = encode_key("another history")
    return copy.write(name, entries), copy.rows


def _re_sign(copy: Copy, name: str, honest: DirectoryStorage) -> tuple[DirectoryStorage, Rows]:
    """A row is altered with its commitment, and everything signed anew with the stolen key."""
    entries, rows = list(copy.entries), dict(copy.rows)
    for place, entry in enumerate(entries):
        leaf = parse_leaf(entry)
        row = rows.get(key_of(leaf)) if isinstance(leaf, EventLeaf) else None
        if row is None or not row["statement"] or not isinstance(leaf, EventLeaf):
            continue
        statement, other = bytes(row["statement"]), bytes(row["statement"])[::-1]
        canonical = bytes(row["canonical"]).replace(blob(statement), blob(other), 1)
        rows[key_of(leaf)] = {**row, "canonical": canonical, "statement": other}
        entries[place] = encode_event(leaf._replace(commitment=commit(bytes(row["opening"]), canonical)))
        break
    return copy.write(name, entries), rows


def _expire_early(copy: Copy, name: str, honest: DirectoryStorage) -> tuple[DirectoryStorage, Rows]:
    """A whole day goes under an order that was given a second too early; the log goes on in order."""
    return copy.write(name, [*copy.entries, _make_order(copy, early_us=1_000_000)]), _without_day(copy)


def _expire_held(copy: Copy, name: str, honest: DirectoryStorage) -> tuple[DirectoryStorage, Rows]:
    """A whole day goes under an order that was given in time, though a legal hold takes it in.

    The log goes on from the attack before this one: the witness has signed that.
    """
    hold = encode_hold(Coordinates("drill", 0, 1), HOLD, True, sha256(b"drill").digest())
    orders = [_make_order(copy, early_us=1_000_000), hold, _make_order(copy, early_us=0)]
    return copy.write(name, [*copy.entries, *orders]), _without_day(copy)


def _first_event(copy: Copy) -> EventLeaf:
    return next(leaf for entry in copy.entries if isinstance(leaf := parse_leaf(entry), EventLeaf))


def _make_order(copy: Copy, early_us: int) -> bytes:
    """The leaf of an order that the first event's day goes."""
    leaf = _first_event(copy)
    at = (leaf.at // DAY_US + 1 + KEPT_DAYS) * DAY_US - early_us
    evidence = {"max_age_days": str(KEPT_DAYS), "min_age_days": "0"}
    name = f"drill/{early_us}"
    order = RetentionAction(name, RetentionVerb.EXPIRE, leaf.retention_class, day_of(leaf.at), at, "drill", evidence)
    body = framing.encode_body("RetentionAction", framing.to_avro(order))
    return encode_retention(Coordinates("drill", 0, early_us), framing.current_fingerprint("RetentionAction"), body)


def _without_day(copy: Copy) -> Rows:
    """The rows without those of the first event's class and day."""
    first = _first_event(copy)
    gone = {
        key_of(leaf)
        for entry in copy.entries
        if isinstance(leaf := parse_leaf(entry), EventLeaf)
        and (leaf.retention_class, day_of(leaf.at)) == (first.retention_class, day_of(first.at))
    }
    return {key: row for key, row in copy.rows.items() if key not in gone}


LOG_ATTACKS: Final = (
    ("alter the log's files", _edit_entry),
    ("delete a row and its leaf, sign anew with the stolen log key", _delete_leaf),
    ("alter a row and its leaf, sign anew with the stolen log key", _re_sign),
    ("roll log and table back, sign anew with the stolen log key", _roll_back),
    ("roll log and table back to an older head that was witnessed", _roll_back_to_witnessed),
    ("fork: another log of the same size", _fork),
    ("expire a day one second early", _expire_early),
    ("expire a day that a legal hold takes in", _expire_held),
)


def _copy_log(source: DirectoryStorage, target: DirectoryStorage) -> None:
    for path in source.root.rglob("*"):
        if path.is_file():
            target.write(str(path.relative_to(source.root)), path.read_bytes())


def _batch_end(entries: Sequence[bytes], near: int) -> int:
    """Where a batch ends, at or before `near`, so that only the witness can notice the cut."""
    for place in range(max(1, near), 0, -1):
        if isinstance(parse_leaf(entries[place]), BatchLeaf):
            return place
    return 1


def summarize(found: Sequence[Caught]) -> Counter[str]:
    """How many were caught, how many of them only by the witness, how many not."""
    return Counter("missed" if not item.by else "by the witness" if item.needs_witness else "caught" for item in found)
