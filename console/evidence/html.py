"""The page that people read: what was asked, what holds, what happened. Nothing in it is proof, and it runs nothing."""

import html
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from schemas.errors import ProofError
from schemas.events import EventKind, Verdict
from sinks.transparency.evidence import EvidenceReport, describe_report, iterate_records
from sinks.transparency.leaf import EventLeaf

MAX_ROWS: Final = 5_000
MAX_TEXT: Final = 2_000
MAX_VALUES: Final = 20
STYLE: Final = (
    "body{font:15px/1.4 system-ui,sans-serif;margin:2rem;color:#1b1b1b}table{border-collapse:collapse;width:100%}"
    "td,th{border-bottom:1px solid #ddd;padding:.3rem .5rem;text-align:left;vertical-align:top}"
    "code,pre{font:13px/1.4 ui-monospace,monospace;white-space:pre-wrap;overflow-wrap:anywhere}"
    "td:nth-child(3){font:13px/1.4 ui-monospace,monospace;overflow-wrap:anywhere;min-width:16ch}"
    "td:nth-child(8){min-width:18rem}"
    ".bad{color:#a40000;font-weight:600}.gone{color:#666}"
)
_REORDERING: Final = re.compile("[\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069]")
COLUMNS: Final = ("leaf", "at (UTC)", "session", "seq", "agent", "for", "resource", "what", "verdict", "outcome")


def render_report(report: EvidenceReport, path: Path) -> str:
    """The page of a file of evidence that was just verified. At most MAX_ROWS events are listed."""
    asked = ", ".join(f"{name} {value}" for name, value in report.manifest.get("selection", {}).items()) or "everything"
    rows: list[str] = []
    left_out = 0
    for index, leaf, record in iterate_records(path):
        if len(rows) < MAX_ROWS:
            rows.append(_row(index, leaf, record))
        else:
            left_out += 1
    head = "".join(f"<th>{column}</th>" for column in COLUMNS)
    lines = "\n".join(_escape(line) for line in describe_report(report))
    span = f"{_time(report.first_at)} to {_time(report.last_at)}"
    more = f"<p>{left_out} more events are in the file.</p>" if left_out else ""
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Custody evidence</title><style>{STYLE}</style>'
        f"<h1>Evidence</h1><p>Asked for: {_escape(asked)}. Events from {span}.</p>"
        f"<p>Written when this file was made. What it says is shown by <code>verify.py</code>, not by this page.</p>"
        f'<pre class="{"bad" if report.audit.violations else ""}">{lines}</pre>'
        f"<table><tr>{head}</tr>{''.join(rows)}</table>{more}</html>\n"
    )


def _row(index: int, leaf: EventLeaf, record: tuple[dict[str, Any], dict[str, Any]] | ProofError | None) -> str:
    known = [str(index), _time(leaf.at), leaf.session_id, str(leaf.seq)]
    if record is None or isinstance(record, ProofError):
        why = "the record is gone" if record is None else "the record cannot be read"
        gone = "".join(f"<td>{_escape(cell)}</td>" for cell in known)
        return f'<tr class="gone">{gone}<td colspan="6">{leaf.event_kind}: {why}</td></tr>'
    context, event = record
    what = f"{event['kind']} {event['operation']}".strip()
    texts = (event["statement"], *_parameters(event["parameters"]), event["error"])
    told = "".join(f"<br><code>{_escape(text)}</code>" for text in texts if text)
    verdict = "" if event["verdict"] == Verdict.NONE else event["verdict"]
    has_rows = event["kind"] == EventKind.ACTION_COMPLETED and event["status"]
    outcome = f"{event['status']}, {event['rows']} rows" if has_rows else event["status"]
    cells = [*known, context["agent"], context["principal"], context["resource"]]
    return (
        f"<tr>{''.join(f'<td>{_escape(cell)}</td>' for cell in cells)}<td>{_escape(what)}{told}</td>"
        f"<td>{_escape(verdict)}</td><td>{_escape(outcome)}</td></tr>"
    )


def _parameters(values: list[str | None]) -> list[str]:
    """The first bound values, one a line, and how many are left out."""
    shown = [f"${number} = {'NULL' if value is None else value}" for number, value in enumerate(values[:MAX_VALUES], 1)]
    more = len(values) - MAX_VALUES
    return [*shown, f"… {more} more values are in the file"] if more > 0 else shown


def _time(at_us: int) -> str:
    try:
        return datetime.fromtimestamp(at_us / 1e6, UTC).isoformat(" ", "milliseconds").removesuffix("+00:00")
    except (ValueError, OverflowError, OSError):
        return str(at_us)


def _escape(text: str) -> str:
    """Text as HTML, cut visibly, without the marks that reorder it."""
    more = f" … {len(text) - MAX_TEXT} more characters are in the file" if len(text) > MAX_TEXT else ""
    return html.escape(_REORDERING.sub("\ufffd", text[:MAX_TEXT].encode("utf-8", "replace").decode()) + more)
