import contextlib
import time
from collections.abc import Iterable
from pathlib import Path

import psycopg
import pytest

from console.reconcile.postgres_log import REFUSAL, Telling, read_postgres_log
from console.reconcile.shapes import UNPARSABLE, statement_shape
from console.reconcile.sighting import Reading, Sighting, read_lines
from schemas.errors import ConfigError
from tests.console.reconcile.conftest import PREFIX, Logging, run_logging

STAMP = "2026-01-31 12:00:00.123 UTC"


def read(path: Path, prefix: str = PREFIX) -> tuple[list[Sighting], Reading]:
    reading = Reading()
    return list(read_postgres_log(read_lines([path], reading), reading, prefix)), reading


def read_text(*lines: str, prefix: str = "%m [%p] ") -> tuple[list[Sighting], Reading]:
    reading = Reading()
    return list(read_postgres_log(enumerate(lines, 1), reading, prefix)), reading


def do_things(running: Logging, table: str) -> list[str]:
    """What a client does, in every way; the statements as they must be told."""
    with running.postgres.connect() as connection:
        connection.execute(f"CREATE TABLE {table} (id int, name text)")  # type: ignore[arg-type]
        connection.execute(f"INSERT INTO {table} VALUES (%s, %s)", (1, "tom\n2026-01-31 12:00:00 UTC [1] LOG:  x"))  # type: ignore[arg-type]
        connection.execute(f"SELECT '\t\"quoted\"\n{STAMP} [1] LOG:  statement: DROP TABLE forged', id FROM {table}")  # type: ignore[arg-type]
        for number in range(3):
            connection.execute(f"SELECT name FROM {table} WHERE id = %s", (number,), prepare=True)  # type: ignore[arg-type]
        for text in (f"SELEC * FROM {table}", f"SELECT nothing FROM {table}", f"SELECT 1/0 FROM {table}"):
            with contextlib.suppress(psycopg.Error):
                connection.execute(text)  # type: ignore[arg-type]
        connection.execute(f"SELECT count(*) FROM {table}; SELECT max(id) FROM {table}")  # type: ignore[arg-type]
    by_id = f"SELECT name FROM {table} WHERE id = $1"
    return [
        f"CREATE TABLE {table} (id int, name text)", f"INSERT INTO {table} VALUES ($1, $2)",
        f"SELECT 'x', id FROM {table}", by_id, by_id, by_id, f"SELEC * FROM {table}", f"SELECT nothing FROM {table}",
        f"SELECT 1/0 FROM {table}", f"SELECT count(*) FROM {table}; SELECT max(id) FROM {table}",
    ]  # fmt: skip


def wait_for(path: Path, shape: str) -> None:
    deadline = time.monotonic() + 60
    while not any(sighting.shape == shape for sighting in read(path)[0]):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def check_forms(running: Logging, table: str) -> None:
    """All three forms of the real server's log tell the same: each statement once."""
    begun = time.time()
    wanted = [statement_shape(text) for text in do_things(running, table)]
    for ending in ("log", "csv", "json"):
        path = running.log(ending)
        wait_for(path, wanted[-1])
        found, reading = read(path)
        ours = [sighting for sighting in found if sighting.shape in wanted]
        assert [sighting.shape for sighting in ours] == wanted, ending
        assert reading.unread == 0, (ending, reading.unread_lines)
        assert {(item.user, item.database, item.source) for item in ours} == {("postgres", "postgres", "127.0.0.1")}
        assert len({item.session for item in ours}) == 1
        assert all(begun - 1 < item.at / 1e6 < time.time() + 1 for item in ours)
        assert not any("forged" in item.text or "tom" in item.text for item in found)


def test_a_real_servers_log_of_statements(logging_postgres: Logging) -> None:
    check_forms(logging_postgres, "told")


def test_a_real_servers_log_of_durations(tmp_path_factory: pytest.TempPathFactory) -> None:
    with run_logging(tmp_path_factory.mktemp("durations"), log_min_duration_statement="0") as running:
        check_forms(running, "timed")


def test_only_the_first_kind_that_tells_a_statement_counts() -> None:
    found, reading = read_text(
        f"{STAMP} [1] LOG:  statement: SELECT 1",
        f"{STAMP} [1] LOG:  AUDIT: SESSION,1,1,READ,SELECT,,,SELECT 1,<none>",
        f"{STAMP} [1] LOG:  duration: 0.1 ms",
        f"{STAMP} [1] LOG:  execute <unnamed>: SELECT 2",
        f"{STAMP} [1] LOG:  connection received: host=10.0.0.1",
        f"{STAMP} [1] LOG:  statement: {REFUSAL}",
    )
    assert [item.line for item in found] == [1, 4]
    assert reading.ignored == {"told again by audit": 1, "duration alone": 1, "refused by Custody": 1}


def test_pgaudit_tells_a_statement_once_whatever_it_has_touched() -> None:
    several = "SELECT 1; DELETE FROM t"
    found, reading = read_text(
        f"{STAMP} [1] LOG:  AUDIT: SESSION,1,1,WRITE,INSERT,TABLE,public.t,\"insert into t values ('a,b')\",<none>",
        f"{STAMP} [1] LOG:  AUDIT: SESSION,1,2,READ,SELECT,TABLE,public.u,SELECT x FROM u,<not logged>",
        f"{STAMP} [1] LOG:  AUDIT: OBJECT,1,1,READ,SELECT,TABLE,public.u,SELECT x FROM u,<not logged>",
        f"{STAMP} [1] LOG:  AUDIT: SESSION,2,1,READ,SELECT,,,{several},<none>",
        f"{STAMP} [1] LOG:  AUDIT: SESSION,3,1,WRITE,DELETE,,,{several},<none>",
        f"{STAMP} [1] LOG:  AUDIT: SESSION,4,1,READ,SELECT,,,{several},<none>",
        f"{STAMP} [1] LOG:  AUDIT: broken",
    )
    assert [item.line for item in found] == [1, 4, 6]
    assert found[0].text == "insert into t values ( ? )"
    assert reading.ignored == {"audited part": 2, "audited object": 2}


HOSTILE = (
    "", "\x00", "garbage", '{"timestamp": 5}', '{"a":' * 50, "[" * 3000, f"{STAMP} [x] LOG:  statement: SELECT 1",
    "9999-99-99 00:00:00 UTC [1] LOG:  x", f"{STAMP} [1] MADE_UP:  statement: SELECT 1", "\tcontinued from nothing",
)  # fmt: skip


@pytest.mark.parametrize(
    "first",
    [f"{STAMP} [1] LOG:  ready", '{"timestamp":"2026-01-31 12:00:00 UTC","error_severity":"LOG","message":"ready"}',
     f'{STAMP},"u","d",1,"10.0.0.1:5",65.1,1,"",{STAMP},1/1,0,LOG,00000,"ready",,,,,,,,,"app"'],
    ids=["plain", "json", "csv"],
)  # fmt: skip
def test_hostile_lines_are_counted_and_nothing_else_happens(first: str) -> None:
    plain = first.startswith(f"{STAMP} [")
    for line in HOSTILE:
        found, reading = read_text(first, line)
        assert found == []
        # After a whole message a tab continues it: that is how the server writes, and no line of its own.
        assert reading.unread == (0 if plain and line.startswith("\t") else 1), line[:20]


def test_a_quote_that_never_ends_is_bounded_and_said() -> None:
    row = f'{STAMP},"u","d",1,"10.0.0.1:5",65.1,1,"",{STAMP},1/1,0,LOG,00000,"statement: SELECT 1'
    found, reading = read_text(row, *(["x" * 1000] * 3000))
    assert (found, reading.unread > 0) == ([], True)


def test_a_zone_that_is_not_known_is_asked_for() -> None:
    with pytest.raises(ConfigError, match="--time-zone"):
        read_text("2026-01-31 12:00:00 CET [1] LOG:  statement: SELECT 1")


def test_errors_of_many_sessions_are_bounded() -> None:
    from console.reconcile import postgres_log

    def lines() -> Iterable[tuple[int, str]]:
        for number in range(postgres_log.MAX_SESSIONS + 10):
            yield number, f"{STAMP} [{number}] ERROR:  syntax error at"

    reading = Reading()
    telling = Telling(reading)
    assert list(telling.sightings(postgres_log.read_plain(lines(), reading, "%m [%p] ", None))) == []
    assert len(telling._failed) <= postgres_log.MAX_SESSIONS


def test_what_is_no_sql_has_no_values_shown() -> None:
    found, _ = read_text(f"{STAMP} [1] LOG:  statement: SELECT 'open secret")
    assert (found[0].shape, "secret" in found[0].text) == (UNPARSABLE, False)
