"""What a SIEM is told: a detection as it is, a session as a summary when it closes. Pure, with bounded memory."""

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

from schemas.events import Detection, EventKind, Severity, Verdict
from schemas.wire.avro import EMPTY
from schemas.wire.tallies import SessionTally
from sinks.columns import Columns
from sinks.reader import Batch
from sinks.regions import read_map, read_masked, read_outcome
from sinks.siem.transport import Message

MAX_OPEN_SESSIONS: Final = 100_000
"""Sessions counted at once; beyond it the one longest without an event is forgotten, and its summary says so."""

SEVERITY_ORDER: Final = tuple(Severity)
_CLOSED: Final = EventKind.SESSION_CLOSED.encode()
_REQUESTED: Final = EventKind.ACTION_REQUESTED.encode()
_GAP: Final = EventKind.AUDIT_GAP.encode()
_NONE: Final = Verdict.NONE.encode()
_ALARMING: Final = ("deny", "hold", "mask")


class Tallies:
    """Counts over open sessions. After a restart a session's counts begin where reading did, and are marked so."""

    def __init__(self, limit: int = MAX_OPEN_SESSIONS) -> None:
        self._open: OrderedDict[str, SessionTally] = OrderedDict()
        self._limit = limit

    def __len__(self) -> int:
        return len(self._open)

    def add(self, batch: Batch) -> Iterator[Message]:
        """Count a batch's events; a summary for each session that closes in it."""
        if batch.skimmed is not None:
            for tally in batch.skimmed.tallies:
                self._merge(tally)
            return
        decoded = batch.decoded
        columns = decoded.columns
        session_ids = [_text(context["session_id"]) for context in decoded.sessions]
        for position, kind in enumerate(columns.kinds):
            session_id = session_ids[columns.sessions[position]]
            tally = self._tally_of(session_id, columns.seqs[position])
            _count(tally, columns, position, kind)
            if kind == _CLOSED:
                del self._open[session_id]
                yield summarise(decoded.sessions[columns.sessions[position]], columns, position, tally)

    def _tally_of(self, session_id: str, seq: int) -> SessionTally:
        tally = self._open.get(session_id)
        if tally is None:
            tally = self._open[session_id] = SessionTally(session_id, seq)
            if len(self._open) > self._limit:
                self._open.popitem(last=False)
        else:
            self._open.move_to_end(session_id)
        return tally

    def _merge(self, found: SessionTally) -> None:
        tally = self._tally_of(found.session_id, found.first_seq)
        for verdict, count in found.verdicts.items():
            tally.verdicts[verdict] = tally.verdicts.get(verdict, 0) + count
        tally.actions += found.actions
        tally.rows += found.rows
        tally.errors += found.errors
        tally.masked += found.masked
        tally.gaps += found.gaps


def _count(tally: SessionTally, columns: Columns, position: int, kind: bytes) -> None:
    verdict = columns.verdicts[position]
    if verdict != _NONE:
        name = _text(verdict)
        tally.verdicts[name] = tally.verdicts.get(name, 0) + 1
    tally.actions += kind == _REQUESTED
    tally.gaps += kind == _GAP
    tally.rows += columns.rows[position]
    tally.errors += _has_error(columns.outcomes[position])
    if columns.masked[position] != EMPTY:
        tally.masked += sum(item[1] for item in read_masked(columns.masked[position]))


@lru_cache(maxsize=4096)
def _has_error(outcome: bytes) -> bool:
    return bool(read_outcome(outcome)[1])


def summarise(context: Mapping[str, Any], columns: Columns, position: int, tally: SessionTally) -> Message:
    """The message for a closed session: who, for whom, on what, how much, with which verdicts."""
    at = columns.ats[position]
    facts = {_text(key): _text(value) for key, value in read_map(columns.attributes[position]).items()}
    fields = {name: _text(context[name]) for name in ("agent", "principal", "resource", "protocol")}
    fields |= {"run_id": _text(context["run_id"]), "client": _text(context["client"])}
    fields |= {"source": f"{_text(context['source_ip'])}:{context['source_port']}"}
    fields |= {
        "opened_at": str(context["opened_at"]),
        "duration_ms": str(max(0, at - context["opened_at"]) // 1000),
        "events": facts.pop("events", str(columns.seqs[position])),
        "actions": facts.pop("actions", str(tally.actions)),
        "rows": str(tally.rows),
        "errors": str(tally.errors),
        "masked": str(tally.masked),
        "gaps": str(tally.gaps),
    }
    fields |= {f"verdict.{verdict}": str(count) for verdict, count in sorted(tally.verdicts.items())}
    fields |= {"reason": facts.pop("reason", "")}
    fields |= {name: value for name, value in facts.items() if name.startswith("bytes.")}
    if tally.first_seq != 1:
        fields["counted_from_seq"] = str(tally.first_seq)
    is_alarming = tally.gaps or any(verdict in tally.verdicts for verdict in _ALARMING)
    text = f"{fields['agent']} for {fields['principal']} on {fields['resource']}: session closed"
    severity = Severity.LOW if is_alarming else Severity.INFO
    return Message(_text(context["session_id"]), "session", severity, at, text, fields)


def describe_detection(detection: Detection) -> Message:
    """The message for a detection."""
    fields = {
        "rule": detection.rule,
        "rule_version": detection.rule_version,
        "agent": detection.agent,
        "principal": detection.principal,
        "resource": detection.resource,
        "session_id": detection.session_id,
        **{f"fact.{name}": value for name, value in detection.attributes.items()},
        "evidence": " ".join(detection.evidence),
    }
    return Message(detection.detection_id, "detection", detection.severity, detection.at, detection.title, fields)


def is_severe_enough(detection: Detection, least: str) -> bool:
    """Whether a detection is to be sent; an unknown severity is."""
    if detection.severity not in SEVERITY_ORDER:
        return True
    return SEVERITY_ORDER.index(Severity(detection.severity)) >= SEVERITY_ORDER.index(Severity(least))


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")
