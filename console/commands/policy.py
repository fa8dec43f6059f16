"""`custody policy`: statements as policy sees them, and policies before they are applied."""

import json
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from console.commands.sessions import to_us
from console.output import clean, one_line, print_json
from console.table import print_table
from console.times import Moment
from schemas.errors import ConfigError
from schemas.events import ControlKind

if TYPE_CHECKING:
    from policy.backtest import Report
    from policy.model import Classified


@click.group()
def policy() -> None:
    """Check, test, backtest, list and remove policies; classify statements as policy does."""


@policy.command("classify")
@click.option(
    "--dialect", required=True, help="Language: postgres, mysql, shell, redis, mongodb, kubernetes, mcp, http."
)
def classify(dialect: str) -> None:
    """Classify JSON Lines on standard input, `{"id", "statement"}` each: one line of JSON for each."""
    from policy.classify import CLASSIFIERS
    from policy.classify import classify as classify_statement

    if dialect not in CLASSIFIERS:
        raise ConfigError(f"no classifier for dialect {dialect!r}; there are: {', '.join(CLASSIFIERS)}")
    for id, statement in read_statements(sys.stdin):
        found = describe(id, classify_statement(dialect, statement))
        click.echo(json.dumps(found))


def read_statements(lines: Iterator[str] | Any) -> Iterator[tuple[Any, str]]:
    """(id, statement) of each line; a statement that is an object or a list stays JSON. Raises ConfigError."""
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            raise ConfigError(f"line {number}: not JSON") from None
        if not isinstance(entry, dict) or "statement" not in entry:
            raise ConfigError(f'line {number}: not an object with "statement"')
        statement = entry["statement"]
        text = statement if isinstance(statement, str) else json.dumps(statement)
        yield entry.get("id", number), text


def describe(id: Any, classified: "Classified") -> dict[str, Any]:
    """A line of the answer. Functions are no objects here: what they do is in `operation`."""
    return {
        "id": id,
        "operation": classified.operation.value,
        "objects": [
            {"name": each.name, "access": "read" if each.access.value == "read" else "write"}
            for each in classified.objects
            if not each.name.endswith("()")
        ],
        "has_where": classified.has_where,
        "multi": classified.is_multi,
        "unknown": classified.is_unknown,
    }


@policy.command("check")
@click.argument("paths", nargs=-1, required=True, metavar="FILE...")
@click.option("--live", is_flag=True, help="Also compare the resources they name with those in control.")
@click.option("--json", "as_json", is_flag=True, help="Faults as JSON.")
def check(paths: Sequence[str], live: bool, as_json: bool) -> int:
    """Check Cedar files or folders: schema, unreachable rules, unknown names. All faults, each with its line."""
    from policy.cedar_check import check_policies

    names = {"Resource": frozenset(_resource_labels())} if live else None
    texts = read_policies(paths)
    faults = check_policies(texts, names)
    if as_json:
        print_json([{"file": each.name, "line": each.line, "fault": each.text} for each in faults])
    else:
        for fault in faults:
            click.echo(clean(str(fault)))
        if not faults:
            click.echo(clean(f"{', '.join(texts)}: fine"))
    return 1 if faults else 0


@policy.command("test")
@click.argument("paths", nargs=-1, required=True, metavar="FILE...")
@click.option("--default", type=click.Choice(("deny", "allow")), default="deny", show_default=True)
def test(paths: Sequence[str], default: str) -> int:
    """Run the cases beside Cedar files: those of `name.cedar` are in `name.cases.yaml`."""
    from policy.cases import read_cases, run_cases
    from policy.cedar_policies import load_policies

    policies = load_policies(read_policies(paths), default)
    cases = [case for name, text in case_files(paths) for case in read_cases(text, name)]
    if not cases:
        raise ConfigError("no cases: put them beside the policies, in NAME.cases.yaml")
    failed = [outcome for outcome in run_cases(cases, policies) if not outcome.is_as_expected]
    for outcome in failed:
        click.echo(clean(str(outcome)))
    click.echo(f"{len(cases) - len(failed)} of {len(cases)} cases as expected; version {policies.version}")
    return 1 if failed else 0


@policy.command("backtest")
@click.argument("paths", nargs=-1, required=True, metavar="FILE...")
@click.option("--since", type=Moment(), default="30d", show_default=True, help="A time, or how long ago.")
@click.option("--default", type=click.Choice(("deny", "allow")), default="deny", show_default=True)
@click.option("--json", "as_json", is_flag=True)
def backtest(paths: Sequence[str], since: datetime, default: str, as_json: bool) -> None:
    """Put what was recorded through proposed policies: what would newly be denied, held, masked, and who is hit."""
    from console.control import find_place
    from console.history import read_history
    from console.store import open_store
    from policy.backtest import backtest as run_backtest
    from policy.cedar_policies import load_policies

    policies = load_policies(read_policies(paths), default)
    labels = _resource_labels()
    with open_store(find_place()) as store:
        history = read_history(store, to_us(since), to_us(datetime.now(UTC)))
        report = run_backtest(history, policies, labels)
    _show_report(report, as_json)


@policy.command("list")
@click.option("--json", "as_json", is_flag=True)
def list_policies(as_json: bool) -> None:
    """The policies in control, by name, and the version that they make together."""
    from console import control
    from policy.cedar_policies import load_policies

    place = control.find_place()
    with control.open_view(place) as view:
        entries = view.all(ControlKind.POLICY)
    texts = {name: str(payload.get("cedar", "")) for name, payload in sorted(entries.items())}
    found = load_policies(texts, place.settings.policy_default)
    if as_json:
        policies = [{"name": name, "cedar": text} for name, text in texts.items()]
        print_json({"version": found.version if texts else "", "policies": policies})
        return
    rows = [[each.id, each.effect, each.name, each.line] for each in found.policies.values()]
    print_table(("id", "effect", "name", "line"), rows)
    click.echo(f"version {found.version}" if texts else "control holds no policy: policy_file decides")


@policy.command("remove")
@click.argument("name")
def remove(name: str) -> None:
    """Take a policy out of control."""
    from console import control, registry
    from console.commands.apply import report

    place = control.find_place()
    with control.open_view(place) as view:
        changes = registry.remove_policy(place, view, name)
    report(changes, as_json=False)


def read_policies(paths: Sequence[str]) -> dict[str, str]:
    """Name -> Cedar text of files, folders and shipped policies. Raises ConfigError."""
    from policy.decide import SHIPPED, read_policy_file

    texts: dict[str, str] = {}
    for path in paths:
        if path not in SHIPPED and not Path(path).exists():
            raise ConfigError(f"{path}: no such file or folder, and no shipped policy ({', '.join(SHIPPED)})")
        for name, text in read_policy_file(path).items():
            if name in texts:
                raise ConfigError(f"two files are called {name}")
            texts[name] = text
    return texts


def case_files(paths: Sequence[str]) -> Iterator[tuple[str, str]]:
    """(name, text) of the cases beside these policies. Raises ConfigError."""
    from importlib.resources import files

    from policy.decide import SHIPPED

    for path in map(Path, paths):
        if str(path) in SHIPPED:
            found = [Path(str(files("policy") / "cedar" / f"{path}.cases.yaml"))]
        else:
            found = sorted(path.glob("*.cases.yaml")) if path.is_dir() else [path.with_suffix(".cases.yaml")]
        for each in found:
            if each.is_file():
                try:
                    yield each.name, each.read_text("utf-8")
                except (OSError, UnicodeDecodeError) as error:
                    raise ConfigError(f"{each.name}: {type(error).__name__}") from None


def _resource_labels() -> dict[str, dict[str, str]]:
    """The labels of the registered resources, by name."""
    from console import control

    with control.open_view(control.find_place()) as view:
        return {name: dict(resource.labels) for name, resource in control.resources_of(view).items()}


def _show_report(report: "Report", as_json: bool) -> None:
    changes = sorted(report.changes.values(), key=lambda change: -change.count)
    if as_json:
        print_json(
            {
                "version": report.version,
                "actions": report.actions,
                "unchanged": report.unchanged,
                "by_record": report.by_record,
                "newly": report.by_verdict(),
                "changes": [change.as_dict() for change in changes],
            }
        )
        return
    click.echo(f"version {report.version}: {report.actions} actions, {report.unchanged} as before")
    if report.by_record:
        click.echo(f"{report.by_record} were judged by what was recorded of them, their text being masked or cut")
    rows = []
    for change in changes:
        who = sorted(change.hit.items(), key=lambda item: -item[1])
        hit = ", ".join(f"{agent} for {principal} on {resource} ({n})" for (principal, agent, resource), n in who[:5])
        more = f", {len(who) - 5} more" if len(who) > 5 else ""
        sample = one_line(change.samples[0], 80) if change.samples else ""
        rows.append(
            [f"{change.before} → {change.verdict}", change.count, ", ".join(change.policies), hit + more, sample]
        )
    print_table(("change", "actions", "policies", "who", "for example"), rows)
