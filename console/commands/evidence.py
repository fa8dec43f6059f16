"""`custody evidence`: hand over a part of the record that proves itself, and check what was handed over."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from console.output import clean, print_json
from console.times import Moment, check_span
from schemas.errors import ConfigError

if TYPE_CHECKING:
    from sinks.transparency.evidence import EvidenceReport


@click.group()
def evidence() -> None:
    """Export a part of the record with its proofs, and verify such a file."""


@evidence.command("export")
@click.option("--session", default="", help="One session; the first characters of its id suffice.")
@click.option("--agent", default="", help="Every session of an agent.")
@click.option("--since", type=Moment(), help="Events from this time on.")
@click.option("--until", type=Moment(), help="Events before this time.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), default=Path("evidence.zip"), show_default=True)
@click.option("--force", is_flag=True, help="Replace a file that is there.")
@click.option("--json", "as_json", is_flag=True)
@click.pass_context
def export(
    ctx: click.Context,
    session: str,
    agent: str,
    since: datetime | None,
    until: datetime | None,
    out: Path,
    force: bool,
    as_json: bool,
) -> None:
    """Write a zip: records, openings, proofs, the witnessed head, policy, orders, schemas, a report, a verifier.

    Exit code as of `evidence verify`: what is missing or altered is exported and said.
    """
    from console.commands.verify import read_holds
    from console.control import find_place
    from console.evidence.export import Selection, export_evidence
    from console.store import open_store

    if not (session or agent or since or until):
        raise click.UsageError("say which events: --session, --agent, --since, --until")
    check_span(since, until)
    if out.exists() and not force:
        raise ConfigError(f"{out} is there already; --force replaces it")
    place = find_place()
    with open_store(place) as store:
        selection = Selection(session, agent, _as_us(since), _as_us(until))
        report = export_evidence(store, place.settings, place.home, selection, out, lambda: read_holds(place))
    _show(ctx, report, out, as_json)


@evidence.command("verify")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--policy",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="tlog-policy of the log and witnesses you trust; else the file's own is taken, and that is said.",
)
@click.option("--json", "as_json", is_flag=True)
@click.pass_context
def verify(ctx: click.Context, file: Path, policy: Path | None, as_json: bool) -> None:
    """Verify a file of evidence: offline, without the store, with nothing but the file.

    Exit code 0: everything holds; 1: a violation; 2: the file cannot be read, or the quorum has not signed.
    """
    from schemas.runtime import now_us
    from sinks.transparency.evidence import verify_evidence

    trusted = policy.read_text("utf-8") if policy else ""
    _show(ctx, verify_evidence(file, now_us(), trusted), file, as_json)


def _as_us(moment: datetime | None) -> int:
    return int(moment.timestamp() * 1_000_000) if moment else 0


def _show(ctx: click.Context, report: "EvidenceReport", file: Path, as_json: bool) -> None:
    from sinks.transparency.evidence import describe_report

    if as_json:
        print_json(
            {
                "file": str(file),
                "exit_code": report.exit_code,
                "origin": report.checkpoint.origin,
                "tree_size": report.checkpoint.size,
                "witnesses": sorted(report.cosigners),
                "witnessed_at": {name: seconds * 1_000_000 for name, seconds in sorted(report.cosigners.items())},
                "is_witnessed": report.is_witnessed,
                "is_own_policy": report.is_own_policy,
                "states": {str(state): count for state, count in report.audit.states.items()},
                "sessions": dict(report.sessions),
                "truncated_by_policy": len(report.truncated),
                "bytes_seen": report.bytes_seen,
                "bytes_opaque": report.bytes_opaque,
                "first_at": report.first_at,
                "last_at": report.last_at,
                "violations": report.audit.violations,
                "findings": report.audit.findings,
            }
        )
    else:
        click.echo(f"file          {file}")
        click.echo("\n".join(clean(line) for line in describe_report(report)))
    ctx.exit(report.exit_code)
