"""A session shown again: each event becomes lines for a person, action numbers tie request and outcome together."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from console.events import ResultRows, Row, result_rows
from console.output import clean, format_bytes, format_duration, format_time, one_line
from schemas.events import EventKind

MAX_STATEMENT: Final = 4000
MAX_SHOWN_ROWS: Final = 20
MAX_CELL: Final = 60
MAX_OBJECTS: Final = 5
MAX_PAYLOAD: Final = 1500
MAX_FACTS: Final = 30
WHITE_SPACE: Final = str.maketrans("", "", "\r\n\t")
INDENT: Final = " " * 15


def render_header(session: Mapping[str, Any]) -> list[str]:
    """Who acted, for whom, on what. `session` is a row of the sessions query."""
    who = f"agent {session['agent']} for {session['principal']}"
    lines = [f"session {session['session_id']}", f"  {who} on {session['resource']} ({session['protocol']})"]
    for name in ("run_id", "credential_id", "client", "source", "upstream", "tls"):
        if session.get(name):
            lines.append(f"  {name.replace('_', ' ')}: {one_line(str(session[name]))}")
    chain = " -> ".join(f"{link['actor']} for {link['on_behalf_of']}" for link in session.get("delegation", ()))
    if chain:
        lines.append(f"  delegation: {one_line(chain)}")
    return [clean(line) for line in lines]


def render(row: Row) -> list[str]:
    """The lines of one event."""
    show = RENDERERS.get(row.kind, _render_other)
    first, *rest = show(row)
    clock = format_time(row.at)[11:]
    return [clean(line) for line in (f"{clock} {row.seq:>4} {first}", *(INDENT + line for line in rest))]


def render_table(found: ResultRows, total: int) -> list[str]:
    """Recorded rows as a small table; what is not shown is counted."""
    shown = [[_cell(value) for value in cells] for cells in found.rows[:MAX_SHOWN_ROWS]]
    columns = [one_line(name, MAX_CELL) for name in found.columns]
    widths = [max([len(name), *(len(cells[index]) for cells in shown)]) for index, name in enumerate(columns)]
    lines = [_table_line(columns, widths), "-+-".join("-" * width for width in widths)]
    lines += [_table_line(cells, widths) for cells in shown]
    if total > len(shown):
        recorded = f", {len(found.rows)} recorded" if len(found.rows) < total else ""
        lines.append(f"({total} rows{recorded}, {len(shown)} shown)")
    return lines


def _render_opened(row: Row) -> list[str]:
    return [f"opened {_attributes(row)}".rstrip()]


def _render_requested(row: Row) -> list[str]:
    # An object says itself how it is touched: `write orders`.
    what = ", ".join(row.objects[:MAX_OBJECTS]) or row.operation
    verdict = "" if row.verdict in ("", "none") else f"  {row.verdict.upper()}"
    lines = [f"#{row.action_number} {row.attributes.get('kind', 'request')}{f' ({what})' if what else ''}{verdict}"]
    lines += _block(row.statement, MAX_STATEMENT)
    for number, value in enumerate(row.parameters, 1):
        lines.append(f"${number} = {'NULL' if value is None else one_line(value, MAX_CELL * 2)}")
    return lines + _facts(row) + _payload(row) + _masked(row) + _cut(row)


def _render_decided(row: Row) -> list[str]:
    return [f"#{row.action_number} decided {row.verdict.upper()} {_attributes(row)}".rstrip()]


def _render_completed(row: Row) -> list[str]:
    facts = [row.status or "done", f"{row.rows} rows", format_bytes(row.bytes), format_duration(row.duration_us)]
    lines = [f"#{row.action_number} completed {', '.join(facts)}"]
    if row.error:
        lines.append(f"error: {one_line(row.error, 400)}")
    found = result_rows(row)
    if found is not None:
        lines += render_table(found, max(row.rows, len(found.rows))) if found.columns else []
    else:
        lines += _facts(row) + _payload(row)
    return lines + _masked(row) + _cut(row)


def _render_data(row: Row) -> list[str]:
    arrow = "->" if row.kind == EventKind.DATA_SENT else "<-"
    number = f"#{row.action_number} " if row.action_id else ""
    what = row.attributes.get("what", "data")
    rest = {key: value for key, value in row.attributes.items() if key not in ("what", "from")}
    facts = " ".join(f"{key}={one_line(value, MAX_CELL)}" for key, value in rest.items())
    size = f" {format_bytes(row.bytes)}" if row.bytes else ""
    return [f"{number}{arrow} {what}{size} {facts}".rstrip(), *_payload(row), *_masked(row)]


def _render_closed(row: Row) -> list[str]:
    reason = row.status or row.attributes.get("reason", "")
    return [f"closed: {reason} {_attributes(row, but='reason')}".rstrip()]


def _render_gap(row: Row) -> list[str]:
    return [f"GAP {_attributes(row)}".rstrip()]


def _render_other(row: Row) -> list[str]:
    return [f"{row.kind} {_attributes(row)}".rstrip(), *_block(row.statement, MAX_STATEMENT), *_masked(row)]


RENDERERS: Final[dict[str, Callable[[Row], list[str]]]] = {
    EventKind.SESSION_OPENED: _render_opened,
    EventKind.ACTION_REQUESTED: _render_requested,
    EventKind.ACTION_DECIDED: _render_decided,
    EventKind.ACTION_COMPLETED: _render_completed,
    EventKind.DATA_SENT: _render_data,
    EventKind.DATA_RECEIVED: _render_data,
    EventKind.SESSION_CLOSED: _render_closed,
    EventKind.AUDIT_GAP: _render_gap,
}


def _block(text: str, limit: int) -> list[str]:
    if not text:
        return []
    lines = clean(text[:limit]).splitlines()
    return [*lines, f"… {len(text) - limit} more characters"] if len(text) > limit else lines


def _payload(row: Row) -> list[str]:
    if not row.payload:
        return []
    if row.payload_type == "binary" and not row.payload.translate(WHITE_SPACE).isprintable():
        return [f"({format_bytes(row.payload_bytes or len(row.payload))} of binary data)"]
    return _block(row.payload, MAX_PAYLOAD)


def _facts(row: Row) -> list[str]:
    """Attributes, headers of HTTP among them, one a line."""
    names = [name for name in row.attributes if name not in ("kind", "tags")][:MAX_FACTS]
    return [f"{name.removeprefix('header.')}: {one_line(row.attributes[name], 200)}" for name in names]


def _masked(row: Row) -> list[str]:
    if not row.masked:
        return []
    parts = (f"{label} x{count}" + (f" in {place}" if place else "") for label, count, _, place in row.masked)
    return [f"masked: {one_line(', '.join(parts), 300)}"]


def _cut(row: Row) -> list[str]:
    if not row.is_truncated:
        return []
    by_policy = row.attributes.get("policy.record", "")
    why = f'policy says @record("{one_line(by_policy, 60)}")' if by_policy else "limits of the resource"
    return [f"(not recorded in full: {why})"]


def _attributes(row: Row, but: str = "") -> str:
    return " ".join(f"{key}={one_line(value, 120)}" for key, value in sorted(row.attributes.items()) if key != but)


def _cell(value: Any) -> str:
    return "NULL" if value is None else one_line(str(value), MAX_CELL)


def _table_line(cells: Sequence[str], widths: Iterable[int]) -> str:
    return " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()
