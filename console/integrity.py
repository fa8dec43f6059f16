"""Compares what the store holds with what the transparency log committed to: `custody verify` on a live stack.

Chunk by chunk of the log: the rows of its origins are read, each row's bytes must open its leaf's commitment, and each
column must be what those bytes decode to. Rows without a leaf are found by counting.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from console.hold_audit import audit_holds
from console.store import Store
from console.verification import Outcome, Verdict
from schemas.config import Settings
from schemas.errors import ConfigError, ProofError
from schemas.holds import LegalHold
from schemas.runtime import Home, now_us
from schemas.wire import framing
from sinks.clickhouse.row_check import ROWS, judge_row
from sinks.transparency.audit import Auditor, Found, Ledger, State
from sinks.transparency.cosigning import fetch_latest
from sinks.transparency.leaf import BatchLeaf, EventLeaf, HoldLeaf, KeyLeaf, parse_leaf
from sinks.transparency.log import LogReader
from sinks.transparency.note import parse_checkpoint, parse_note
from sinks.transparency.orders import Orders
from sinks.transparency.place import LogPlace, find_log, log_directory
from sinks.transparency.quorum import Policy
from sinks.transparency.reading import (
    VerifiedHead,
    check_continues,
    iterate_bundles,
    read_head,
    verify_head,
    verify_tree,
)
from sinks.transparency.rotation import check_chain, extend_policy
from sinks.transparency.storage import DirectoryStorage

CHUNK_BUNDLES: Final = 32
GRACE_US: Final = 600_000_000
"""So long a record beyond the store's progress may be on its way; after that it is missing."""
PUBLISHING_S: Final = 15.0
"""The longest between a witness's signature and the publishing of what it signed, which comes after."""
POLL_S: Final = 0.1
ReadHolds = Callable[[], Mapping[str, LegalHold] | None]

COUNTS: Final = "SELECT log_id, partition, count() AS stored FROM custody.events GROUP BY log_id, partition"
BEYOND: Final = """
SELECT count() AS stored FROM custody.events
WHERE log_id = {log_id:String} AND partition = {partition:UInt32} AND offset > {last:UInt64}
"""
OVERDUE: Final = """
SELECT count() AS stored FROM custody.events
WHERE log_id = {log_id:String} AND partition = {partition:UInt32} AND offset > {last:UInt64}
  AND at < fromUnixTimestamp64Micro({before:Int64})
"""
PROGRESS: Final = """
SELECT log_id, partition, max(offset) AS offset FROM custody.progress
WHERE sink = 'clickhouse' GROUP BY log_id, partition
"""

Key = tuple[str, int]
RowKey = tuple[str, int, int, int]
"""log_id, partition, offset, position."""


@dataclass(frozen=True, slots=True)
class Integrity:
    """What the comparison found; `head` is None when there is no log to compare with."""

    verdict: Verdict
    ledger_faults: tuple[str, ...] = ()
    ledger: Mapping[str, int] | None = None
    head: VerifiedHead | None = None


def check_integrity(
    store: Store, settings: Settings, home: Home, last_seen: bytes = b"", read_holds: ReadHolds = lambda: None
) -> Integrity:
    """Compare the whole record with the log. Raises Unreachable, QueryFailed, ConfigError.

    `read_holds` gives every legal hold of control, released ones too; None: they cannot be known now.
    """
    if last_seen:
        _require_checkpoint(last_seen)
    if not log_directory(home).is_dir():
        return Integrity(Verdict("integrity", Outcome.UNPROVABLE, "there is no transparency log yet"))
    place = find_log(settings, home)
    storage = DirectoryStorage(place.directory)
    try:
        place = replace(place, policy=extend_policy(storage, place.policy))
        signed, unasked = _ask_witnesses(place)
        head = _read_head_with(storage, place.policy, signed)
        reader = LogReader(storage, head.checkpoint.size)
        if last_seen:
            check_continues(reader, head, verify_head(last_seen, place.policy))
        _check_witnesses(reader, head, signed)
        return _compare(store, settings, place, head, reader, unasked, read_holds)
    except ProofError as error:
        return Integrity(Verdict("integrity", Outcome.VIOLATED, "the transparency log does not verify", (str(error),)))


def _require_checkpoint(data: bytes) -> None:
    """A wrong file says nothing of the log; a checkpoint that another key signed does. Raises ConfigError."""
    try:
        parse_checkpoint(parse_note(data).text)
    except ProofError as error:
        raise ConfigError(f"what was given as the checkpoint seen last is none: {error}") from None


def _ask_witnesses(place: LogPlace) -> tuple[dict[str, VerifiedHead], list[str]]:
    """What each witness signed last, and those that do not answer. Raises ProofError.

    Asked before the log's own head is read: while events come in, each second brings a head beyond the one before.
    """
    signed: dict[str, VerifiedHead] = {}
    unasked = []
    for name, witness in place.policy.witnesses.items():
        latest = fetch_latest(witness, place.origin) if witness.url else None
        if latest is None:
            unasked.append(name)
            continue
        try:
            signed[name] = verify_head(latest, place.policy)
        except ProofError as error:
            raise _not_continued(name, error) from None
    return signed, unasked


def _read_head_with(storage: DirectoryStorage, policy: Policy, signed: Mapping[str, VerifiedHead]) -> VerifiedHead:
    """The published head, once it has all that witnesses have signed, or has not for long. Raises ProofError."""
    wanted = max((head.checkpoint.size for head in signed.values()), default=0)
    deadline = time.monotonic() + PUBLISHING_S
    while (head := read_head(storage, policy)).checkpoint.size < wanted and time.monotonic() < deadline:
        time.sleep(POLL_S)
    return head


def _check_witnesses(reader: LogReader, head: VerifiedHead, signed: Mapping[str, VerifiedHead]) -> None:
    """That the log continues what each witness signed last. Raises ProofError."""
    for name, earlier in signed.items():
        try:
            check_continues(reader, head, earlier)
        except ProofError as error:
            raise _not_continued(name, error) from None


def _not_continued(name: str, error: ProofError) -> ProofError:
    return ProofError(f"witness {name} has signed what this log does not continue: {error}")


def _compare(
    store: Store,
    settings: Settings,
    place: LogPlace,
    head: VerifiedHead,
    reader: LogReader,
    unasked: list[str],
    read_holds: ReadHolds,
) -> Integrity:
    orders = Orders({name: item.min_age_days for name, item in settings.retention.classes.items()})
    hold_leaves: list[tuple[int, HoldLeaf]] = []
    key_leaves: list[tuple[int, KeyLeaf]] = []

    def note(index: int, leaf: HoldLeaf | KeyLeaf) -> None:
        if isinstance(leaf, HoldLeaf):
            hold_leaves.append((index, leaf))
        else:
            key_leaves.append((index, leaf))

    verify_tree(reader, head.checkpoint.root, retention_schemas(), orders, note)
    now = now_us()
    # Control is asked only when the log has a hold.
    holds = audit_holds(store, hold_leaves, read_holds() if hold_leaves else {}, now - GRACE_US)
    progress = {(row["log_id"], row["partition"]): row["offset"] for row in store.rows(PROGRESS)}

    def is_pending(leaf: EventLeaf) -> bool:
        stored = progress.get((leaf.origin.log_id, leaf.origin.partition), -1)
        return leaf.origin.offset > stored and leaf.at > now - GRACE_US

    auditor, ledger = Auditor(orders, now, is_pending, holds.holds), Ledger()
    for fault in holds.faults:
        auditor.report.violate(f"ALTERED: {fault}")
    storage = DirectoryStorage(place.directory)
    check_chain(storage, reader, head, place.policy, key_leaves, auditor.report.violate)
    matched: Counter[Key] = Counter()
    last: dict[Key, int] = {}
    for chunk in _chunks(reader):
        rows, copies = _read_rows(store, chunk)
        matched.update(copies)
        for index, leaf in chunk:
            ledger.add(index, leaf)
            key = (leaf.origin.log_id, leaf.origin.partition)
            last[key] = max(last.get(key, -1), leaf.origin.offset)
            if isinstance(leaf, EventLeaf):
                found = rows.get((*key, leaf.origin.offset, leaf.position))
                matched[key] += found is not None
                auditor.judge(index, leaf, found)
    _find_strangers(store, auditor, matched, last, now)
    faults = tuple(ledger.finish())
    verdict = _make_verdict(auditor, place, head, unasked, holds.unknown)
    return Integrity(verdict, faults, ledger.summarize(), head)


def _chunks(reader: LogReader) -> Iterator[list[tuple[int, EventLeaf | BatchLeaf]]]:
    chunk: list[tuple[int, EventLeaf | BatchLeaf]] = []
    for number, (first, entries) in enumerate(iterate_bundles(reader), 1):
        for index, entry in enumerate(entries, first):
            leaf = parse_leaf(entry)
            if isinstance(leaf, EventLeaf | BatchLeaf):
                chunk.append((index, leaf))
        if number % CHUNK_BUNDLES == 0:
            yield chunk
            chunk = []
    yield chunk


def _read_rows(
    store: Store, chunk: list[tuple[int, EventLeaf | BatchLeaf]]
) -> tuple[dict[RowKey, Found], Counter[Key]]:
    """What the rows of a chunk's origins come to, by coordinates; and how many more there are that are lawful copies.

    While a day with held rows expires, these stand twice for a moment: in their day and in the class `held`.
    """
    found: dict[RowKey, Found] = {}
    copies: Counter[Key] = Counter()
    for key, row in _fetch_rows(store, chunk):
        judged = judge_row(row)
        known = found.setdefault(key, judged)
        if known is judged:
            continue
        if replace(known, is_held=judged.is_held) == judged and known.is_held != judged.is_held:
            copies[key[:2]] += 1
            found[key] = replace(judged, is_held=True)
        else:
            found[key] = replace(known, fault="it is stored twice")
    return found, copies


def _fetch_rows(
    store: Store, chunk: list[tuple[int, EventLeaf | BatchLeaf]]
) -> Iterator[tuple[RowKey, dict[str, Any]]]:
    ranges: dict[Key, tuple[int, int]] = {}
    for _, leaf in chunk:
        key, offset = (leaf.origin.log_id, leaf.origin.partition), leaf.origin.offset
        low, high = ranges.get(key, (offset, offset))
        ranges[key] = (min(low, offset), max(high, offset))
    for (log_id, partition), (low, high) in ranges.items():
        where = {"log_id": log_id, "partition": partition, "first": low, "last": high}
        for row in store.rows(ROWS, where, as_bytes=True):
            yield (log_id, partition, row["offset"], row["position"]), row


def read_copy(
    store: Store, settings: Settings, home: Home, limit: int
) -> tuple[list[bytes], dict[RowKey, dict[str, Any]]]:
    """The first `limit` entries of the log, to the end of a batch, and the rows behind them. Raises ProofError."""
    place = find_log(settings, home)
    storage = DirectoryStorage(place.directory)
    reader = LogReader(storage, read_head(storage, place.policy).checkpoint.size)
    entries: list[bytes] = []
    for _, found in iterate_bundles(reader):
        entries += found
        if len(entries) >= limit:
            break
    while len(entries) > limit and not isinstance(parse_leaf(entries[limit]), BatchLeaf):
        limit -= 1
    entries = entries[:limit]
    leaves = [(index, parse_leaf(entry)) for index, entry in enumerate(entries)]
    chunk = [(index, leaf) for index, leaf in leaves if isinstance(leaf, EventLeaf | BatchLeaf)]
    wanted = {
        (leaf.origin.log_id, leaf.origin.partition, leaf.origin.offset, leaf.position)
        for _, leaf in chunk
        if isinstance(leaf, EventLeaf)
    }
    return entries, {key: row for key, row in _fetch_rows(store, chunk) if key in wanted}


def _find_strangers(store: Store, auditor: Auditor, matched: Counter[Key], last: Mapping[Key, int], now: int) -> None:
    """Rows that no leaf speaks of. What the log has not taken yet is no stranger for a while."""
    for row in store.rows(COUNTS):
        key = (row["log_id"], row["partition"])
        where = {"log_id": row["log_id"], "partition": row["partition"]}
        if key not in last:
            beyond, extra = row["stored"], 0
        else:
            beyond = store.one(BEYOND, {**where, "last": last[key]})["stored"]
            extra = row["stored"] - beyond - matched[key]
        if extra > 0:
            auditor.report.violate(f"ALTERED: partition {key[1]} of log {key[0]} has {extra} rows without a leaf")
            auditor.report.states[State.ALTERED] += extra
        if beyond:
            old = store.one(OVERDUE, {**where, "last": last.get(key, 0), "before": now - GRACE_US})["stored"]
            if old:
                auditor.report.violate(f"{old} old rows of partition {key[1]} of log {key[0]} are not in the log")


def _make_verdict(
    auditor: Auditor, place: LogPlace, head: VerifiedHead, unasked: list[str], unknown_holds: int
) -> Verdict:
    report = auditor.report
    counts = {str(state): report.states[state] for state in State if report.states[state]}
    signed = ", ".join(sorted(head.cosigners)) or "nobody"
    facts: dict[str, Any] = {
        **counts,
        "tree_size": head.checkpoint.size,
        "witnesses": sorted(head.cosigners),
        "is_witnessed": head.is_witnessed,
        "past_their_order": report.overdue,
    }
    summary = f"{', '.join(f'{count} {state}' for state, count in counts.items()) or 'no events'}; "
    summary += f"log of {head.checkpoint.size} leaves, witnessed by {signed}"
    notes = [*report.findings]
    if not head.is_witnessed:
        notes.append("the quorum has not signed this head: a rolled back or forked log would not be noticed")
    if unasked:
        notes.append(f"could not ask what they signed last: {', '.join(unasked)}")
    if unknown_holds:
        notes.append(f"control does not answer: {unknown_holds} legal holds could not be looked at")
    if report.overdue:
        notes.append(f"{report.overdue} records are still there although their order was carried out")
    if report.violations:
        return Verdict("integrity", Outcome.VIOLATED, summary, tuple(notes), facts)
    is_decided = (head.is_witnessed or not place.policy.is_witnessed) and not unknown_holds
    outcome = Outcome.HOLDS if is_decided else Outcome.UNDECIDED
    return Verdict("integrity", outcome, summary, tuple(notes), facts)


def retention_schemas() -> dict[bytes, Any]:
    """Every version of RetentionAction by its fingerprint."""
    documents = [framing.load_avsc("RetentionAction", version) for version in framing.versions_of("RetentionAction")]
    return {framing.schema_fingerprint(document): document for document in documents}
