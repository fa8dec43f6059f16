"""`custody verify`: three verdicts on the record, and what each rests on."""

import time
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from click.core import ParameterSource

from console.output import EXIT_VIOLATION, clean, print_json
from console.times import Duration, Moment, check_span
from console.verification import MAX_FINDINGS, Chain, Facts, Outcome, SessionChain, Verdict, judge, verdicts_exit_code

if TYPE_CHECKING:
    from console.control import Place
    from console.store import Store
    from schemas.holds import LegalHold

MAX_GAPS: Final = 1000
SECOND_LOOK_S: Final = 2.0
OF_THE_RECORD: Final = frozenset({"last_seen"})
OF_A_LOG: Final = frozenset({"proxies", "log_line_prefix", "time_zone"})
OF_COUNTS: Final = frozenset({"baseline", "save_baseline"})
OF_THE_TARGET: Final = OF_A_LOG | OF_COUNTS | {"evidence", "since", "until", "skew", "ignored", "limit"}
"""Which options speak of what: one that this run would not look at is refused, lest its answer seem to cover it."""

MARKS: Final = {"holds": "ok  ", "violated": "BAD ", "undecided": "?   ", "not yet provable": "-   "}


@click.command()
@click.option(
    "--last-seen",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A checkpoint of the log kept from before: the log must continue it.",
)
@click.option("--reconcile", metavar="RESOURCE", default="", help="Compare its trail with its own evidence instead.")
@click.option(
    "--evidence",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    multiple=True,
    help="With --reconcile: the server's log, also gzipped; several in order of time. Without: pg_stat_statements.",
)
@click.option("--since", type=Moment(), help="With --evidence: compare from then on.")
@click.option("--until", type=Moment(), help="With --evidence: compare up to then.")
@click.option("--skew", type=Duration(), default=timedelta(seconds=5), help="Bound of the clocks' difference; 5s.")
@click.option("--proxy-address", "proxies", multiple=True, help="From where the proxies connect; all else is foreign.")
@click.option("--ignore-user", "ignored", multiple=True, help="The target's user whose actions are not compared.")
@click.option("--log-line-prefix", default="%m [%p] ", show_default=True, help="Of a plain PostgreSQL log.")
@click.option("--time-zone", default="", help="Of a log that only abbreviates its zone, e.g. Europe/Berlin.")
@click.option(
    "--baseline",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Counts of pg_stat_statements saved before: compare what came since.",
)
@click.option(
    "--save-baseline", type=click.Path(dir_okay=False, path_type=Path), help="Save the counts of pg_stat_statements."
)
@click.option("--limit", type=click.IntRange(1, 100_000), default=1000, help="Findings of each kind in --json; 1000.")
@click.option("--json", "as_json", is_flag=True)
@click.pass_context
def verify(ctx: click.Context, /, last_seen: Path | None, reconcile: str, as_json: bool, **asked: Any) -> None:
    """Check the record: integrity, completeness, coverage; or, with --reconcile, what came past the proxies.

    Every row is compared with its leaf in the transparency log. Everything up to the store's progress is checked; what
    is still on its way is not. Exit code 1 when something was altered, is missing, twice or does not add up; 2 when
    nothing could be decided.
    """
    from console.control import find_place
    from console.store import open_store

    refuse_unread_options(ctx, reconcile, asked["evidence"])
    check_span(asked["since"], asked["until"])
    place = find_place()
    if reconcile:
        verdict = reconcile_with_target(place, reconcile, asked)
        if as_json:
            print_json(asdict(verdict))
        else:
            click.echo("\n".join(clean(line) for line in render(verdict)))
        ctx.exit(reconciliation_exit_code(verdict))
    with open_store(place) as store:
        verdicts = check(store, place, last_seen.read_bytes() if last_seen else b"")
    if as_json:
        print_json([asdict(verdict) for verdict in verdicts])
    else:
        click.echo("\n".join(line for verdict in verdicts for line in render(verdict)))
    ctx.exit(verdicts_exit_code(verdicts))


def refuse_unread_options(ctx: click.Context, reconcile: str, evidence: tuple[Path, ...]) -> None:
    """Raises UsageError for options that this kind of run does not read."""
    if not reconcile:
        unread, why = OF_THE_TARGET, "only with --reconcile"
    elif evidence:
        unread, why = OF_THE_RECORD | OF_COUNTS, "not with --reconcile and --evidence"
    else:
        unread, why = OF_THE_RECORD | OF_A_LOG, "not with --reconcile without --evidence"
    given = [
        parameter.opts[0]
        for parameter in ctx.command.params
        if parameter.name in unread and ctx.get_parameter_source(parameter.name) is ParameterSource.COMMANDLINE
    ]
    if given:
        raise click.UsageError(f"{', '.join(given)}: {why}")


def reconcile_with_target(place: "Place", name: str, asked: dict[str, Any]) -> Verdict:
    """The verdict on one resource. A violation counts when it is seen twice: the record may be behind the target's log.

    Raises ConfigError, Unreachable, QueryFailed.
    """
    from console.control import open_view, require_resource
    from console.reconcile.run import Question, reconcile
    from console.reconcile.times import micros
    from console.store import open_store

    def moment(value: datetime | None) -> int:
        return micros(value) if value is not None else 0

    question = Question(
        since=moment(asked["since"]),
        until=moment(asked["until"]),
        skew_us=int(asked["skew"].total_seconds() * 1e6),
        evidence=asked["evidence"],
        proxies=frozenset(asked["proxies"]),
        ignored_users=frozenset(asked["ignored"]),
        prefix=asked["log_line_prefix"],
        time_zone=asked["time_zone"],
        baseline=asked["baseline"],
        save_baseline=asked["save_baseline"],
        limit=asked["limit"],
    )
    with open_view(place) as view:
        resource = require_resource(view, name)
    with open_store(place) as store:
        verdict = reconcile(store, place, resource, question)
        if verdict.outcome is not Outcome.HOLDS:
            time.sleep(SECOND_LOOK_S)
            verdict = reconcile(store, place, resource, question)
    return verdict


def reconciliation_exit_code(verdict: Verdict) -> int:
    """0: all that the target saw is in the trail; 1: something is not; 2: that could not be decided."""
    return {Outcome.HOLDS: 0, Outcome.VIOLATED: 1}.get(verdict.outcome, 2)


def render(verdict: Verdict) -> list[str]:
    """A verdict and its findings as lines."""
    first = f"{MARKS[verdict.outcome]}{verdict.name}: {verdict.outcome} ({verdict.summary})"
    return [first, *(f"       {finding}" for finding in verdict.findings)]


def check(store: "Store", place: "Place", last_seen: bytes = b"") -> list[Verdict]:
    """The verdicts. A violation counts when it is seen twice: store, log and witnesses are not read at one instant."""
    verdicts = look(store, place, last_seen)
    if verdicts_exit_code(verdicts) == EXIT_VIOLATION or verdicts[0].outcome is Outcome.UNDECIDED:
        time.sleep(SECOND_LOOK_S)
        verdicts = look(store, place, last_seen)
    return verdicts


def look(store: "Store", place: "Place", last_seen: bytes) -> list[Verdict]:
    """The verdicts on what is there now."""
    from console.integrity import check_integrity

    integrity = check_integrity(store, place.settings, place.home, last_seen, lambda: read_holds(place))
    return judge(gather(store), integrity.verdict, integrity.ledger_faults)


def read_holds(place: "Place") -> "dict[str, LegalHold] | None":
    """Every hold that control has; None when it does not answer."""
    from console.legal_holds import list_holds
    from schemas.errors import Unreachable

    try:
        return list_holds(place)
    except Unreachable:
        return None


def gather(store: "Store") -> Facts:
    """What the store says, up to its progress. Raises QueryFailed, Unreachable."""
    from console import queries

    runs = store.rows(queries.EPOCHS)
    ends = stated_ends(runs)
    partitions: list[Chain] = []
    epochs: list[Chain] = []
    odd: list[SessionChain] = []
    duplicates: dict[str, int] = {}
    sessions = events = truncated = 0
    for row in store.rows(queries.PROGRESS, {"sink": queries.SINK}):
        where = {"log_id": row["log_id"], "partition": row["partition"], "upto": row["offset"]}
        name = f"partition {row['partition']} of log {row['log_id']}"
        chain = store.one(queries.ORIGIN_CHAIN, where)
        # The end is what the sink says it stored, so a missing tail is a hole too.
        partitions.append(Chain(f"{name}: origins", chain["origins"], chain["first"], row["offset"]))
        duplicates[name] = chain["stored"] - chain["distinct_events"]
        epochs += [epoch_chain(name, found, ends) for found in store.rows(queries.EPOCH_CHAINS, where)]
        odd += [session_chain(found) for found in store.rows(queries.SESSION_CHAINS, where)]
        counts = store.one(queries.SESSION_COUNT, where)
        sessions, events = sessions + counts["sessions"], events + counts["stored"]
        truncated += counts["truncated"]
    return Facts(
        partitions=tuple(partitions),
        duplicates=duplicates,
        epochs=tuple(epochs),
        sessions=sessions,
        truncated=truncated,
        events=events,
        odd_sessions=tuple(name_missing(store, odd)),
        live_epochs=live_epochs(runs),
        gaps=tuple(store.rows(queries.GAPS, {"limit": MAX_GAPS})),
        expired_orders=int(store.one(queries.EXPIRED)["orders"]),
        ledgers=tuple(store.rows(queries.COVERAGE)),
        shortened=int(store.one(queries.SHORTENED)["answers"]),
    )


def stated_ends(runs: list[dict[str, Any]]) -> dict[tuple[str, int], int]:
    """(run, partition) -> the last batch that the run said it had sent when it stopped."""
    ends = {}
    for row in runs:
        for name, value in row["attributes"].items():
            if row["kind"] == "proxy.stopped" and name.startswith("batches.") and value.isdecimal():
                ends[row["epoch"], int(name.removeprefix("batches."))] = int(value) - 1
    return ends


def epoch_chain(partition: str, row: dict[str, Any], ends: dict[tuple[str, int], int]) -> Chain:
    """The batches of one run of a proxy in one partition, to the end it stated."""
    name = f"{row['proxy_id']} run {row['proxy_epoch'][:8]}, {partition}: batches"
    last = max(row["last"], ends.get((row["proxy_epoch"], row["partition"]), -1))
    return Chain(name, row["batches"], row["first"], last)


def session_chain(row: dict[str, Any]) -> SessionChain:
    """A session that is not plainly whole."""
    return SessionChain(
        session_id=row["session_id"],
        epoch=row["epoch"],
        stored=row["stored"],
        distinct_seqs=row["distinct_seqs"],
        first=row["first"],
        last=row["last"],
        closings=row["closings"],
        closed_events=row["closed_events"],
        is_custody=row["protocol"] == "custody",
    )


def name_missing(store: "Store", sessions: list[SessionChain]) -> list[SessionChain]:
    """The sessions, with the numbers that are missing, for the first of those that have holes."""
    from console import queries

    found, left = [], MAX_FINDINGS
    for session in sessions:
        if session.last > session.distinct_seqs and left:
            left -= 1
            rows = store.rows(queries.MISSING_SEQS, {"session": session.session_id})
            runs = [
                f"{row['first']}-{row['last']}" if row["last"] > row["first"] else str(row["first"]) for row in rows
            ]
            session = replace(session, missing=",".join(runs))
        found.append(session)
    return found


def live_epochs(rows: list[dict[str, Any]]) -> frozenset[str]:
    """Each proxy's newest run, unless it said that it stopped."""
    newest: dict[str, tuple[str, bool]] = {}
    for row in rows:
        if row["kind"] == "proxy.started":
            newest[row["proxy_id"]] = (row["epoch"], True)
        elif row["proxy_id"] in newest:
            newest[row["proxy_id"]] = (newest[row["proxy_id"]][0], False)
    return frozenset(epoch for epoch, is_live in newest.values() if is_live)
