"""What pg_stat_statements counted, against what the trail has, by shape.

Counts name no single action, no time and no address: they say that there were more executions of a shape than came
through the proxies. What failed is not in these counts.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import psycopg

from console.reconcile.matching import Done
from console.reconcile.shapes import UNPARSABLE, shown_statement, statement_shape
from ingest.secrets.store import make_sources
from schemas.errors import ConfigError, Unreachable
from schemas.secret_references import parse_reference

if TYPE_CHECKING:
    from console.control import Place
    from schemas.resources import Resource

CONNECT_TIMEOUT_S: Final = 10
QUERY_TIMEOUT_MS: Final = 60_000
MAX_ROWS: Final = 200_000
MAX_BASELINE_BYTES: Final = 256 << 20
HIDDEN: Final = "<insufficient privilege>"
SSL_MODES: Final = {"off": "disable", "require": "require", "verify": "verify-full"}

INFO: Final = """SELECT dealloc, (extract(epoch FROM stats_reset) * 1000000)::bigint,
 (extract(epoch FROM now()) * 1000000)::bigint
 FROM pg_stat_statements_info"""
COUNTS: Final = """SELECT coalesce(r.rolname, ''), coalesce(d.datname, ''), left(s.query, 262144), s.calls
 FROM pg_stat_statements AS s LEFT JOIN pg_roles AS r ON r.oid = s.userid LEFT JOIN pg_database AS d ON d.oid = s.dbid
 WHERE s.toplevel LIMIT 200000"""

Key = tuple[str, str, str]
"""(user, database, shape)"""


@dataclass(slots=True)
class Counts:
    """Executions by user, database and shape since `since`, up to `at` (µs). `texts`: how a shape reads, by shape."""

    since: int
    at: int
    dealloc: int = 0
    hidden: int = 0
    calls: dict[Key, int] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)

    def add(self, user: str, database: str, query: str, calls: int) -> None:
        """Count a row of the view. Custody's own two queries are no actions."""
        if query == HIDDEN:
            self.hidden += calls
            return
        shape = counted_shape(query)
        if shape in OWN_SHAPES:
            return
        key = (user, database, shape)
        self.calls[key] = self.calls.get(key, 0) + calls
        self.texts.setdefault(shape, shown_statement(query))

    def minus(self, baseline: "Counts") -> "Counts":
        """What was counted after `baseline`. Raises ConfigError when the counters were reset in between."""
        if self.since != baseline.since:
            raise ConfigError("pg_stat_statements was reset after the baseline was taken: take a new one")
        calls = {key: count - baseline.calls.get(key, 0) for key, count in self.calls.items()}
        return Counts(
            baseline.at,
            self.at,
            self.dealloc - baseline.dealloc,
            max(0, self.hidden - baseline.hidden),
            {key: count for key, count in calls.items() if count > 0},
            self.texts,
        )

    def as_json(self) -> str:
        """For a file."""
        rows = [[*key, count] for key, count in sorted(self.calls.items())]
        return json.dumps(
            {"since": self.since, "at": self.at, "dealloc": self.dealloc, "hidden": self.hidden, "calls": rows}
        )


def counted_shape(query: str) -> str:
    """The shape of a normalised statement. The server writes $1 for names of savepoints and the like, too."""
    shape = statement_shape(query)
    if shape == UNPARSABLE:
        shape = statement_shape("".join("x" if part == "$" else part for part in _without_numbers(query)))
    return shape


def _without_numbers(query: str) -> Iterable[str]:
    """The characters of a text, each `$1` as one `$`."""
    is_parameter = False
    for character in query:
        if is_parameter and character.isdigit():
            continue
        is_parameter = character == "$"
        yield character


OWN_SHAPES: Final = frozenset((statement_shape(INFO), statement_shape(COUNTS)))


def load_baseline(path: Path) -> Counts:
    """Counts that were saved. Raises ConfigError."""
    try:
        if path.stat().st_size > MAX_BASELINE_BYTES:
            raise ValueError("too large")
        data = json.loads(path.read_bytes())
        calls = {(str(user), str(database), str(shape)): int(count) for user, database, shape, count in data["calls"]}
        return Counts(int(data["since"]), int(data["at"]), int(data["dealloc"]), int(data["hidden"]), calls)
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ConfigError(f"{path.name} is no saved baseline: {type(error).__name__}") from None


def read_counts(place: "Place", resource: "Resource") -> Counts:
    """What the target's pg_stat_statements says now, read with the resource's own credential, past the proxy.

    Raises ConfigError when it is not there or not readable, Unreachable when the target does not answer.
    """
    upstream = resource.upstream
    user, password = upstream.user, ""
    if upstream.secret:
        reference = parse_reference(upstream.secret)
        secret = make_sources(place.settings, place.home)[reference.kind]().fetch(reference)
        user, password = secret.user or user, secret.value
    try:
        with psycopg.connect(
            host=upstream.host,
            port=upstream.port,
            user=user,
            password=password,
            dbname=upstream.database or "postgres",
            sslmode=SSL_MODES[upstream.tls],
            sslrootcert=upstream.ca_file or None,
            connect_timeout=CONNECT_TIMEOUT_S,
            application_name="custody verify",
            options=f"-c statement_timeout={QUERY_TIMEOUT_MS}",
            autocommit=True,
        ) as connection:
            return _read(connection)
    except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn, psycopg.errors.ObjectNotInPrerequisiteState):
        raise ConfigError(
            f"{resource.name} has no pg_stat_statements of PostgreSQL 14 or newer in the database "
            f"{upstream.database or 'postgres'}: create the extension there, or give its log with --evidence"
        ) from None
    except psycopg.Error as error:
        raise Unreachable(f"{resource.name} does not answer: {' '.join(str(error).split())[:200]}") from None


def _read(connection: "psycopg.Connection[Any]") -> Counts:
    info = connection.execute(INFO).fetchone()
    if info is None:
        raise ConfigError("pg_stat_statements_info is empty")
    dealloc, since, at = info
    counts = Counts(int(since), int(at), int(dealloc))
    rows = connection.execute(COUNTS).fetchall()
    for user, database, query, calls in rows:
        counts.add(user, database, query or "", int(calls))
    if len(rows) >= MAX_ROWS:
        raise ConfigError(f"pg_stat_statements has more than {MAX_ROWS:,} rows")
    return counts


@dataclass(frozen=True, slots=True)
class Difference:
    """A shape that was executed more or less often than the trail has it. `user` is empty for less."""

    user: str
    database: str
    shape: str
    text: str
    at_target: int
    in_trail: int

    @property
    def count(self) -> int:
        """How many more at the target; negative: in the trail."""
        return self.at_target - self.in_trail


@dataclass(frozen=True, slots=True)
class Comparison:
    """What counts of both sides come to."""

    matched: int
    only_target: tuple[Difference, ...]
    only_trail: tuple[Difference, ...]


def compare(counts: Counts, actions: Iterable[Done], resource: "Resource", ignored_users: frozenset[str]) -> Comparison:
    """Counts by shape. Actions that failed may be counted or not, so they explain executions and demand none."""
    certain, possible = count_actions(actions, resource.upstream.database)
    matched = 0
    more: list[Difference] = []
    seen: Counter[tuple[str, str]] = Counter()
    for (user, database, shape), calls in sorted(counts.calls.items()):
        if user in ignored_users:
            continue
        is_proxy = not resource.upstream.user or user == resource.upstream.user
        explained = min(calls, possible[database, shape] - seen[database, shape]) if is_proxy else 0
        seen[database, shape] += explained
        matched += explained
        if calls > explained:
            more.append(Difference(user, database, shape, counts.texts.get(shape, ""), calls, explained))
    less = [
        Difference("", database, shape, "", seen[database, shape], count)
        for (database, shape), count in sorted(certain.items())
        if count > seen[database, shape]
    ]
    return Comparison(matched, tuple(more), tuple(less))


def count_actions(
    actions: Iterable[Done], database: str
) -> tuple[Mapping[tuple[str, str], int], Mapping[tuple[str, str], int]]:
    """How often each (database, shape) was surely carried out, and at most. Several statements in one count each."""
    certain: Counter[tuple[str, str]] = Counter()
    possible: Counter[tuple[str, str]] = Counter()
    for action in actions:
        shapes = [statement_shape(text) for text in action.texts] or [action.shape]
        for shape in [action.shape] if UNPARSABLE in shapes else shapes:
            key = (action.database or database, shape)
            possible[key] += 1
            certain[key] += action.is_certain
    return certain, possible
