"""Evidence in a file, verified without network, store, or anything but the file: reading it is all this does. Pure.

The file is a zip, and hostile until shown otherwise: names are compared with a list, nothing is unpacked to disk, what
is read is bounded. It ends in a report, or in ProofError when it cannot be decided.

    manifest.json               format, what was asked for, when, of which log
    policy.txt                  tlog-policy: log key, witnesses, quorum
    checkpoint                  the head that all proofs lead to, with its cosignatures
    records.jsonl               a line a leaf: index, leaf, opening and canonical bytes (empty when the record is gone)
    proofs/<index>.tlog-proof   that the leaf is in the tree
    keys.json                   how the log's keys were rotated (key_chain.py), if they were
    holds.json                  legal holds that concern the records (hold_evidence.py); may be left out
    schemas/<fingerprint>.avsc  what the canonical bytes and orders are read with
    report.html, README.txt, verify.py
"""

import json
import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Final

from schemas.errors import ProofError
from sinks.transparency.audit import Auditor, Found, Report, State
from sinks.transparency.avro import read_fingerprint, read_record, read_stored
from sinks.transparency.hold_evidence import HOLDS_FILE, count_undisclosed, read_spans
from sinks.transparency.key_chain import KEYS_FILE, follow_keys, read_handovers
from sinks.transparency.leaf import EventLeaf, HoldLeaf, KeyLeaf, Leaf, RetentionLeaf, parse_leaf
from sinks.transparency.merkle import check_inclusion, hash_leaf
from sinks.transparency.note import Checkpoint, decode_base64, open_checkpoint, parse_checkpoint, parse_note
from sinks.transparency.orders import Holds, Orders
from sinks.transparency.proof import MAX_PROOF_BYTES, parse_leaf_proof
from sinks.transparency.quorum import MAX_POLICY_BYTES, Policy, find_cosigners, parse_policy

FORMAT: Final = "custody-evidence-1"
MANIFEST: Final = "manifest.json"
POLICY: Final = "policy.txt"
CHECKPOINT_FILE: Final = "checkpoint"
RECORDS: Final = "records.jsonl"
MAX_RECORDS: Final = 200_000
MAX_FILES: Final = MAX_RECORDS + 1000
MAX_LINE_BYTES: Final = 16 << 20
MAX_TOTAL_BYTES: Final = 2 << 30
MAX_SMALL_BYTES: Final = 1 << 20
_NAMES: Final = re.compile(
    r"manifest\.json|policy\.txt|checkpoint|records\.jsonl|keys\.json|holds\.json|report\.html|README\.txt|verify\.py"
    r"|proofs/[0-9]{1,19}\.tlog-proof|schemas/[0-9a-f]{16}\.avsc",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Record:
    """A line of records.jsonl, decoded."""

    index: int
    entry: bytes
    leaf: Leaf
    found: Found | None


@dataclass(slots=True)
class EvidenceReport:
    """What a file of evidence shows. `exit_code` is 0 (fine), 1 (a violation) or 2 (no quorum has signed)."""

    manifest: dict[str, Any]
    policy: Policy
    checkpoint: Checkpoint
    cosigners: dict[str, int]
    is_witnessed: bool
    is_own_policy: bool
    audit: Report
    undisclosed_holds: int = 0
    sessions: Counter[str] = field(default_factory=Counter)
    first_at: int = 0
    last_at: int = 0
    bytes_seen: int = 0
    bytes_opaque: int = 0
    truncated: set[str] = field(default_factory=set)  # sessions of which the resource's limits kept only a part

    @property
    def exit_code(self) -> int:
        if self.audit.violations:
            return 1
        return 0 if self.is_witnessed or not self.policy.is_witnessed else 2


def verify_evidence(path: Path, now_us: int, policy_text: str = "") -> EvidenceReport:
    """Verify a file. `policy_text`: the policy that the reader trusts; empty: the one in the file, which says so.

    Raises ProofError when the file is no evidence, is damaged, or breaks a limit.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return _Verification(archive, now_us, policy_text).run()
    except (
        zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError, ValueError, KeyError,
        TypeError, AttributeError,
    ) as error:  # fmt: skip
        # zipfile and json raise all of these at hostile bytes; RecursionError is a RuntimeError.
        raise ProofError(f"the file cannot be read: {_name_fault(error)}") from None


def _name_fault(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, zipfile.BadZipFile):
        return str(error)[:120]
    return f"{type(error).__name__}: {str(error)[:120]}"


Inside = tuple[dict[str, Any], dict[str, Any]]
"""A record's session context and event."""


def iterate_records(path: Path) -> Iterator[tuple[int, EventLeaf, Inside | ProofError | None]]:
    """The events of a file that was verified: index, leaf, and what is in the record; None when it is gone."""
    with zipfile.ZipFile(path) as archive:
        verification = _Verification(archive, 0, "")
        for record in verification.iterate():
            if not isinstance(record.leaf, EventLeaf):
                continue
            try:
                inside = verification.read_stored(record.found.canonical) if record.found else None
            except ProofError as error:
                yield record.index, record.leaf, error
            else:
                yield record.index, record.leaf, inside


class _Verification:
    def __init__(self, archive: zipfile.ZipFile, now_us: int, policy_text: str) -> None:
        self._archive = archive
        self._now_us = now_us
        self._budget = MAX_TOTAL_BYTES
        self._check_names()
        self._manifest = self._read_json(MANIFEST)
        if self._manifest.get("format") != FORMAT:
            raise ProofError("not a file of evidence that this verifier knows")
        own = self._read(POLICY, MAX_POLICY_BYTES).decode()
        self._policy = parse_policy(policy_text or own)
        self._is_own_policy = not policy_text
        self._head = self._read(CHECKPOINT_FILE, MAX_SMALL_BYTES)
        note = parse_note(self._head)
        self._checkpoint = parse_checkpoint(note.text)
        self._policy = self._extend_policy()
        open_checkpoint(self._head, self._policy.log_keys)
        self._cosigners = find_cosigners(note, self._policy)
        self._schemas = {
            bytes.fromhex(name[8:24]): self._read_json(name)
            for name in archive.namelist()
            if name.startswith("schemas/")
        }

    def _extend_policy(self) -> Policy:
        """The policy with the keys that took over since: each was announced by a leaf and handed over to."""
        policy = self._policy
        if KEYS_FILE not in self._archive.NameToInfo:
            return policy
        leaves: list[tuple[int, KeyLeaf]] = []
        for record in self.iterate():
            if isinstance(record.leaf, KeyLeaf):
                self._check_proof(record)
                leaves.append((record.index, record.leaf))
        handovers = read_handovers(self._read_json(KEYS_FILE))
        later = follow_keys(policy, self._checkpoint, parse_note(self._head), leaves, handovers)
        return Policy(policy.log_keys + later, policy.witnesses, policy.groups, policy.quorum)

    def run(self) -> EvidenceReport:
        orders = Orders()
        hold_leaves: list[tuple[int, HoldLeaf]] = []
        for record in self.iterate():
            if isinstance(record.leaf, RetentionLeaf):
                orders.note_action(record.index, self._read_order(record))
            elif isinstance(record.leaf, HoldLeaf):
                hold_leaves.append((record.index, record.leaf))
        disclosed = self._read_json(HOLDS_FILE) if HOLDS_FILE in self._archive.NameToInfo else {}
        spans, faults = read_spans(disclosed, hold_leaves)
        auditor = Auditor(orders, self._now_us, holds=Holds(spans))
        for fault in faults:
            auditor.report.violate(f"ALTERED: {fault}")
        report = EvidenceReport(
            self._manifest,
            self._policy,
            self._checkpoint,
            self._cosigners,
            self._policy.is_met(list(self._cosigners)),
            self._is_own_policy,
            auditor.report,
            count_undisclosed(disclosed, hold_leaves),
        )
        seqs: dict[str, _Seqs] = {}
        for record in self.iterate():
            self._judge(record, auditor, report, seqs)
        for session_id, known in seqs.items():
            _judge_session(session_id, known, report)
        return report

    def _judge(self, record: Record, auditor: Auditor, report: EvidenceReport, seqs: "dict[str, _Seqs]") -> None:
        try:
            self._check_proof(record)
        except ProofError as error:
            report.audit.violate(f"leaf {record.index} is not proven to be in the log: {error}")
        leaf = record.leaf
        if not isinstance(leaf, EventLeaf):
            return
        state = auditor.judge(record.index, leaf, record.found)
        report.first_at = min(report.first_at or leaf.at, leaf.at)
        report.last_at = max(report.last_at, leaf.at)
        if leaf.session_id:
            seqs.setdefault(leaf.session_id, _Seqs()).add(leaf)
        if state in (State.PRESENT, State.HELD) and record.found is not None:
            self._look_inside(record, leaf, record.found, report)

    def _look_inside(self, record: Record, leaf: EventLeaf, found: Found, report: EvidenceReport) -> None:
        """What the canonical bytes say must fit the leaf; the byte ledger of a session's end is added up."""
        context, event = self.read_stored(found.canonical)
        if (context["session_id"], context["retention_class"], event["seq"], event["at"]) != (
            leaf.session_id, leaf.retention_class, leaf.seq, leaf.at,
        ):  # fmt: skip
            report.audit.violate(f"ALTERED: leaf {record.index} names another event than its record")
        if event.get("is_truncated"):
            report.truncated.add(leaf.session_id)
        if event["kind"] == "session.closed":
            for name in ("from_agent", "from_upstream"):
                report.bytes_seen += _as_count(event["attributes"].get(f"bytes.{name}", ""))
            for name in ("opaque_agent", "opaque_upstream"):
                report.bytes_opaque += _as_count(event["attributes"].get(f"bytes.{name}", ""))

    def read_stored(self, canonical: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
        """(session context, event). Raises ProofError."""
        schema = self._schemas.get(read_fingerprint(canonical))
        if schema is None:
            raise ProofError("a record of a schema that is not in the file")
        return read_stored(schema, canonical)

    def _check_proof(self, record: Record) -> None:
        name = f"proofs/{record.index}.tlog-proof"
        if name not in self._archive.NameToInfo:
            raise ProofError("there is no proof")
        proof = parse_leaf_proof(self._read(name, MAX_PROOF_BYTES))
        if proof.index != record.index or proof.checkpoint != self._head:
            raise ProofError("the proof is of another leaf or head")
        checkpoint = self._checkpoint
        check_inclusion(proof.hashes, record.index, hash_leaf(record.entry), checkpoint.size, checkpoint.root)

    def _read_order(self, record: Record) -> dict[str, Any]:
        assert isinstance(record.leaf, RetentionLeaf)  # noqa: S101 - the caller asked
        schema = self._schemas.get(record.leaf.fingerprint)
        if schema is None:
            raise ProofError("an order of a schema that is not in the file")
        return read_record(schema, record.leaf.action)

    def iterate(self) -> Iterator[Record]:
        """The lines of records.jsonl in rising order of their indices, each leaf once."""
        last = -1
        with self._open(RECORDS) as file:
            for number in range(MAX_RECORDS + 1):
                line = file.readline(MAX_LINE_BYTES + 1)
                if not line:
                    return
                self._spend(len(line))
                if len(line) > MAX_LINE_BYTES or number == MAX_RECORDS:
                    raise ProofError("records.jsonl has more or longer lines than a file of evidence may have")
                try:
                    record = parse_record(line)
                except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
                    raise ProofError(f"records.jsonl: line {number + 1} is no record") from None
                if record.index <= last:
                    raise ProofError(f"records.jsonl: leaf {record.index} comes twice or out of order")
                last = record.index
                yield record

    def _check_names(self) -> None:
        names = self._archive.namelist()
        if len(names) > MAX_FILES:
            raise ProofError(f"the file holds {len(names)} files; at most {MAX_FILES} are read")
        if len(set(names)) != len(names):
            raise ProofError("the file holds two files of one name")
        for name in names:
            if not _NAMES.fullmatch(name):
                raise ProofError(f"the file holds a file that does not belong there: {name[:80]!r}")

    def _read_json(self, name: str) -> dict[str, Any]:
        try:
            value = json.loads(self._read(name, MAX_SMALL_BYTES))
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            raise ProofError(f"{name} is no JSON object")
        return value

    def _open(self, name: str) -> IO[bytes]:
        try:
            return self._archive.open(name)
        except KeyError:
            raise ProofError(f"the file cannot be read: there is no {name} in it") from None

    def _read(self, name: str, limit: int) -> bytes:
        with self._open(name) as file:
            data = file.read(limit + 1)
        self._spend(len(data))
        if len(data) > limit:
            raise ProofError(f"{name} has more than {limit} bytes")
        return data

    def _spend(self, count: int) -> None:
        """What is inflated counts, whatever the zip's directory says of it."""
        self._budget -= count
        if self._budget < 0:
            raise ProofError(f"the file inflates to more than {MAX_TOTAL_BYTES >> 30} GiB")


class _Seqs:
    """Numbers of one session's events, as far as the file has them."""

    def __init__(self) -> None:
        self.count = self.last = self.closed_at = 0
        self.first = 0

    def add(self, leaf: EventLeaf) -> None:
        self.count += 1
        self.first = min(self.first or leaf.seq, leaf.seq)
        self.last = max(self.last, leaf.seq)
        if leaf.event_kind == "session.closed":
            self.closed_at = leaf.seq


def _judge_session(session_id: str, known: _Seqs, report: EvidenceReport) -> None:
    """complete: from 1 to its end. A part of a session, as a span of time cuts it out, is no gap."""
    if known.count != known.last - known.first + 1:
        report.sessions["gap"] += 1
        missing = known.last - known.first + 1 - known.count
        report.audit.violate(
            f"session {session_id}: {missing} events between {known.first} and {known.last} are left out"
        )
    elif known.closed_at and known.closed_at != known.last:
        report.sessions["gap"] += 1
        report.audit.violate(f"session {session_id} goes on after its end")
    elif known.first == 1 and known.closed_at:
        report.sessions["complete"] += 1
    elif known.first == 1:
        report.sessions["end unknown"] += 1
    else:
        report.sessions["a part"] += 1


def parse_record(line: bytes) -> Record:
    """A line of records.jsonl. Raises ProofError, ValueError."""
    value = json.loads(line)
    index, entry = value["index"], decode_base64(value["leaf"])
    if not isinstance(index, int) or isinstance(index, bool) or index < 0:
        raise ProofError("records.jsonl: an index that is none")
    canonical = decode_base64(value.get("canonical", ""))
    found = None
    if canonical:
        found = Found(bytes.fromhex(value["opening"]), canonical, "", value.get("is_held") is True)
    return Record(index, entry, parse_leaf(entry), found)


def _as_count(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else 0


def _describe_time(report: EvidenceReport) -> str:
    """Between which times the events say they were, and since when a witness knows them to be in the log."""
    span = f"events of {_name_time(report.first_at)} to {_name_time(report.last_at)} by their proxies' clocks"
    if not report.cosigners:
        return f"{span}; nobody else says since when they are in the log"
    name, since = min(report.cosigners.items(), key=lambda item: item[1])
    return f"{span}; in the log since {_name_time(since * 1_000_000)} or before, says {name}"


def _name_time(at_us: int) -> str:
    try:
        return datetime.fromtimestamp(at_us // 1_000_000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):
        return f"{at_us} us"


def describe_report(report: EvidenceReport) -> list[str]:
    """The report in lines for people."""
    states = ", ".join(f"{count} {state}" for state, count in sorted(report.audit.states.items())) or "no events"
    sessions = ", ".join(f"{count} {name}" for name, count in sorted(report.sessions.items())) or "none"
    seen, opaque = report.bytes_seen, report.bytes_opaque
    coverage = f"{(seen - opaque) / seen * 100:.2f} % of {seen} bytes understood" if seen else "no closed session"
    signed = ", ".join(sorted(report.cosigners)) or "nobody"
    lines = [
        f"log           {report.checkpoint.origin}, {report.checkpoint.size} leaves",
        f"key           {', '.join(key.vkey for key in report.policy.log_keys)}",
        f"witnessed by  {signed}: the quorum is {'met' if report.is_witnessed else 'NOT met'}",
        f"time          {_describe_time(report)}",
        f"integrity     {states}",
        f"completeness  sessions: {sessions}; {len(report.truncated)} truncated by policy",
        f"coverage      {coverage}",
    ]
    if report.is_own_policy:
        lines.append(
            "note          the policy is the file's own: compare the keys above with those you know (--policy)"
        )
    if report.sessions["end unknown"]:
        lines.append(
            f"note          sessions without their end: {report.sessions['end unknown']}; they went on when this was "
            "written, or the file leaves their last records out"
        )
    if report.undisclosed_holds:
        lines.append(
            f"note          legal holds of the log that the file does not disclose: {report.undisclosed_holds}"
        )
    if not report.is_witnessed:
        lines.append("note          without the quorum nobody can tell a log that was rolled back or forked")
    lines += [f"VIOLATION     {finding}" for finding in report.audit.findings]
    hidden = report.audit.violations - len(report.audit.findings)
    return [*lines, f"VIOLATION     and {hidden} more"] if hidden > 0 else lines
