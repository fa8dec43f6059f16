"""PostgreSQL answers that policy wants masked, through the proxy, as real clients see them."""

import json
import socket
import subprocess
import threading
from collections.abc import Iterator

import psycopg
import pytest

from masking.tokens import TokenKey
from schemas.runtime import Home
from tests.ingest.test_postgres import register, url
from tests.support.kafka import Kafka
from tests.support.postgres import Postgres
from tests.support.proxies import Login, Proxy, Trail, issue_credential, run_proxy_under, wait_for_trails

EMAIL = "bob.smith@example.com"
CARD = "4111111111111111"
POLICY = """
@id("rest") permit (principal, action, resource) unless { context.protocol == "tcp" };
@id("all") @mask permit (principal, action, resource in Label::"mask=all")
when { context.unknown || context.objects.contains("people") || context.functions.contains("notice_people") };
@id("zeros") @mask("columns=salary, hired, nick, my_*; typed=stand_in")
permit (principal, action, resource in Label::"mask=zeros");
@id("relay") @mask("columns=salary; unreadable=relay") permit (principal, action, resource in Label::"mask=relay");
@id("tunnel") @mask permit (principal, action, resource) when { context.protocol == "tcp" };
"""
TABLE = f"""
CREATE TABLE people(id int, email text, card bigint, salary numeric, hired date, note json, tags text[], raw bytea,
    doc jsonb, vip bool, nick varchar(20));
INSERT INTO people SELECT i, 'bob.smith@example.com', {CARD}, 1200.50, '1980-02-03',
    '{{"mail": "{EMAIL}", "n": 1}}', ARRAY['x', '{EMAIL}', NULL], convert_to('mail {EMAIL}', 'UTF8'),
    '{{"list": [{CARD}, 2]}}', true, 'tiny' FROM generate_series(1, 3) i;
CREATE FUNCTION notice_people() RETURNS text LANGUAGE plpgsql AS
    $$ BEGIN RAISE NOTICE 'found %', (SELECT email FROM people LIMIT 1); RETURN 'done'; END $$;
"""


@pytest.fixture(scope="module")
def proxy(secrets_home: Home, tmp_path_factory: pytest.TempPathFactory, kafka: Kafka) -> Iterator[Proxy]:
    with run_proxy_under(POLICY, secrets_home, tmp_path_factory.mktemp("masked"), kafka) as running:
        yield running


@pytest.fixture(scope="module")
def login(proxy: Proxy) -> Login:
    return issue_credential(proxy.home, proxy.writer)


@pytest.fixture(scope="module")
def database(postgres_server: Postgres) -> dict[str, object]:
    """A database with the table, the same for all tests here."""
    name = postgres_server.create_database()
    dsn = (
        f"postgresql://{postgres_server.user}:{postgres_server.password}@{postgres_server.host}:{postgres_server.port}"
    )
    with psycopg.connect(f"{dsn}/{name}", autocommit=True) as connection:
        connection.execute(TABLE)
    return {"database": name}


def open_port(proxy: Proxy, server: Postgres, database: dict[str, object], name: str, rule: str) -> int:
    return register(proxy, server, name, database, labels={"mask": rule})


def leaks(trail: Trail) -> list[str]:
    """What of the secrets any record holds."""
    return [secret for secret in ("bob.smith", CARD) if secret in repr(trail.events)]


def masked_of(trail: Trail, word: str) -> set[tuple[str, str]]:
    """(label, place) of the outcomes of statements that hold a word."""
    ids = {event.action_id for event in trail.of("action.requested") if word in event.statement}
    return {
        (m.label, m.place) for event in trail.of("action.completed") if event.action_id in ids for m in event.masked
    }


@pytest.mark.parametrize("binary", [False, True])
def test_rows_are_masked_in_their_types(
    proxy: Proxy, login: Login, postgres_server: Postgres, database: dict[str, object], binary: bool
) -> None:
    name = f"rows-{'binary' if binary else 'text'}"
    port = open_port(proxy, postgres_server, database, name, "all")
    token = TokenKey(proxy.home.read_key("token.key")).token(EMAIL.encode())
    with psycopg.connect(url(port, login), autocommit=True) as connection:
        with connection.cursor(binary=binary) as cursor:
            rows = cursor.execute("SELECT * FROM people ORDER BY id").fetchall()
            assert cursor.execute("SELECT 41 + 1").fetchone() == (42,)
    assert [row[0] for row in rows] == [1, 2, 3]
    for _, email, card, salary, hired, note, tags, raw, doc, vip, tiny in rows:
        assert email == f"‹email:{token}›" and card is None
        assert (float(salary), str(hired), vip, tiny) == (1200.5, "1980-02-03", True, "tiny")
        assert note == {"mail": f"‹email:{token}›", "n": 1} and doc == {"list": [None, 2]}
        assert tags == ["x", f"‹email:{token}›", None] and raw == f"mail ‹email:{token}›".encode()
    (trail,) = wait_for_trails(proxy.home, name, 1)
    outcome = next(e for e in trail.of("action.completed") if e.rows == 3)
    assert outcome.verdict == "mask" and outcome.attributes["policy.ids"] == "all,rest"
    assert {(m.label, m.count, m.place) for m in outcome.masked} >= {
        ("email", 3, "email"),
        ("payment_card", 3, "card"),
        ("email", 3, "note.mail"),
        ("payment_card", 3, "doc.list[0]"),
        ("email", 3, "tags"),
        ("email", 3, "raw"),
    }
    table = json.loads(outcome.payload)
    assert table["rows"][0][1] == f"‹email:{token}›" and table["rows"][0][2] is None
    assert leaks(trail) == []
    plain = next(e for e in trail.of("action.completed") if b'"42"' in e.payload)
    assert plain.masked == [] and plain.verdict == "none"


@pytest.mark.parametrize("binary", [False, True])
def test_named_columns_become_zeros_of_their_types(
    proxy: Proxy, login: Login, postgres_server: Postgres, database: dict[str, object], binary: bool
) -> None:
    port = open_port(proxy, postgres_server, database, f"zeros-{binary}".lower(), "zeros")
    with psycopg.connect(url(port, login), autocommit=True) as connection, connection.cursor(binary=binary) as cursor:
        row = cursor.execute("SELECT salary, hired, nick, card, id AS my_id FROM people").fetchone()
        assert row is not None
        assert (float(row[0]), str(row[1]), row[3], row[4]) == (0.0, "2000-01-01", 0, 0)
        assert row[2].startswith("‹column:")


def test_psql_simple_queries_returning_rows_cursors_and_errors(
    proxy: Proxy, login: Login, postgres_server: Postgres, database: dict[str, object]
) -> None:
    port = open_port(proxy, postgres_server, database, "psql-masked", "all")
    script = f"""
        SELECT email FROM people WHERE id = 1; SELECT 'plain {EMAIL}';
        UPDATE people SET id = id WHERE id = 2 RETURNING card, email;
        BEGIN; DECLARE c CURSOR FOR SELECT email, card FROM people; FETCH 2 FROM c; COMMIT;
        PREPARE p AS SELECT email AS prepared FROM people LIMIT 1; EXECUTE p;
        SELECT email::int FROM people;
        SELECT notice_people();
    """
    done = subprocess.run(["psql", url(port, login), "-AtX"], input=script, capture_output=True, text=True, timeout=60)
    # The constant is not people's; all else is.
    assert done.stdout.count(EMAIL) == 1 and f"plain {EMAIL}" in done.stdout, done.stdout + done.stderr
    assert CARD not in done.stdout and done.stdout.count("‹email:") == 5
    assert (
        EMAIL not in done.stderr and "invalid input syntax" in done.stderr and "NOTICE:  found ‹email:" in done.stderr
    )
    (trail,) = wait_for_trails(proxy.home, "psql-masked", 1)
    fetch = next(e for e in trail.of("action.requested") if e.statement.startswith("FETCH"))
    assert fetch.attributes["mask.from"] == "an earlier statement of the session"
    failed = next(e for e in trail.of("action.completed") if e.status == "22P02")
    assert "‹email:" in failed.error and EMAIL not in failed.error


def test_prepared_statements_portals_and_row_limits(
    proxy: Proxy, login: Login, postgres_server: Postgres, database: dict[str, object]
) -> None:
    port = open_port(proxy, postgres_server, database, "portals-masked", "all")
    with psycopg.connect(url(port, login)) as connection:
        for _ in range(8):  # psycopg prepares after five, and then no longer describes
            rows = connection.execute("SELECT email, card FROM people WHERE id < %s", (9,)).fetchall()
            assert {card for _, card in rows} == {None} and all(email.startswith("‹email:") for email, _ in rows)
        with connection.cursor("c") as cursor:  # a cursor of the server
            cursor.execute("SELECT email FROM people")
            cursor.itersize = 1
            assert all(row[0].startswith("‹email:") for row in cursor)
        with connection.pipeline():
            cursors = [connection.execute("SELECT email FROM people WHERE id = %s", (i,)) for i in (1, 2, 3)]
            assert all(cursor.fetchone()[0].startswith("‹email:") for cursor in cursors)  # type: ignore[index]
    (trail,) = wait_for_trails(proxy.home, "portals-masked", 1)
    assert leaks(trail) == []


COPIES = [
    ("COPY people(id, email, card, tags) TO STDOUT", "\t", "\\N"),
    ("COPY people(id, email, card, tags) TO STDOUT (FORMAT csv)", ",", ""),
    ("COPY (SELECT id, email, card, tags FROM people) TO STDOUT WITH CSV HEADER DELIMITER ';' NULL 'nix'", ";", "nix"),
]


@pytest.mark.parametrize(("statement", "delimiter", "null"), COPIES)
def test_copy_is_masked_field_by_field(
    proxy: Proxy,
    login: Login,
    postgres_server: Postgres,
    database: dict[str, object],
    statement: str,
    delimiter: str,
    null: str,
) -> None:
    name = f"copy-{len(delimiter + null)}-{ord(delimiter)}"
    port = open_port(proxy, postgres_server, database, name, "all")
    with psycopg.connect(url(port, login), autocommit=True) as connection, connection.cursor() as cursor:
        with cursor.copy(statement) as copy:
            blocks = [bytes(block) for block in copy]
        assert cursor.execute("SELECT 1").fetchone() == (1,)
    rows = [block for block in blocks if not block.startswith(b"id")]
    assert len(rows) == 3
    fields = sorted(row.decode().rstrip("\n").split(delimiter)[:3] for row in rows)
    assert [field[0] for field in fields] == ["1", "2", "3"] and {field[2] for field in fields} == {null}
    assert all("‹email:" in field[1] for field in fields)
    assert EMAIL.encode() not in b"".join(blocks)
    (trail,) = wait_for_trails(proxy.home, name, 1)
    assert leaks(trail) == []
    outcome = next(e for e in trail.of("action.completed") if e.masked)
    assert ("email", "email") in {(m.label, m.place) for m in outcome.masked}


ALIASES = [
    "SELECT salary AS a, upper(nick) AS b FROM people",
    "SELECT x, y FROM (SELECT id, salary, nick FROM people) s(i, x, y)",
    "WITH w AS (SELECT salary s, nick || '' n FROM people) SELECT * FROM w",
    "SELECT id::numeric, 'x' FROM people WHERE false UNION ALL SELECT salary, nick FROM people",
    "UPDATE people SET vip = vip RETURNING salary AS p, lower(nick)",
    "DECLARE c CURSOR FOR SELECT salary AS a, nick AS b FROM people",
]


@pytest.mark.parametrize("statement", ALIASES)
def test_a_named_column_is_masked_under_any_name(
    proxy: Proxy, login: Login, postgres_server: Postgres, database: dict[str, object], statement: str
) -> None:
    name = f"alias-{ALIASES.index(statement)}"
    port = open_port(proxy, postgres_server, database, name, "zeros")
    with psycopg.connect(url(port, login)) as connection:
        cursor = connection.execute(statement)
        rows = (connection.execute("FETCH ALL FROM c") if statement.startswith("DECLARE") else cursor).fetchall()
        connection.rollback()
    assert len(rows) == 3
    assert {str(salary) for salary, _ in rows} == {"0"}
    assert all(nick.startswith("‹column:") for _, nick in rows)


def test_copy_in_binary_form_is_masked_value_by_value(
    proxy: Proxy, login: Login, postgres_server: Postgres, database: dict[str, object]
) -> None:
    port = open_port(proxy, postgres_server, database, "copy-binary", "all")
    kinds = ["int4", "text", "int8", "numeric", "date", "json", "text[]", "bytea", "jsonb", "bool", "varchar"]
    with psycopg.connect(url(port, login), autocommit=True) as connection, connection.cursor() as cursor:
        with cursor.copy("COPY people TO STDOUT (FORMAT binary)") as copy:
            copy.set_types(kinds)
            rows = sorted(copy.rows())
        assert cursor.execute("SELECT 1").fetchone() == (1,)
    assert [row[0] for row in rows] == [1, 2, 3]
    for _, email, card, salary, hired, note, tags, raw, doc, vip, nick in rows:
        assert email.startswith("‹email:") and card is None and (vip, nick) == (True, "tiny")
        assert str(salary) == "1200.50" and str(hired) == "1980-02-03"
        assert note["n"] == 1 and note["mail"].startswith("‹email:") and doc["list"] == [None, 2]
        assert tags[0] == "x" and tags[1].startswith("‹email:") and tags[2] is None
        assert raw.decode().startswith("mail ‹email:")
    (trail,) = wait_for_trails(proxy.home, "copy-binary", 1)
    assert leaks(trail) == []


@pytest.mark.parametrize(
    ("rule", "statement", "reason"),
    [
        ("zeros", "COPY people TO STDOUT (FORMAT binary)", "without a header does not say its columns"),
        ("zeros", "COPY people TO STDOUT", "without a header does not say its columns"),
    ],
)
def test_a_copy_that_cannot_be_masked_is_refused(
    proxy: Proxy,
    login: Login,
    postgres_server: Postgres,
    database: dict[str, object],
    rule: str,
    statement: str,
    reason: str,
) -> None:
    name = f"refused-copy-{rule}-{len(statement)}"
    port = open_port(proxy, postgres_server, database, name, rule)
    with psycopg.connect(url(port, login), autocommit=True) as connection:
        with connection.cursor() as cursor, pytest.raises(psycopg.errors.InsufficientPrivilege, match=reason):
            with cursor.copy(statement) as copy:
                copy.read()
        assert connection.execute("SELECT 1").fetchone() is not None
    (trail,) = wait_for_trails(proxy.home, name, 1)
    refused = next(e for e in trail.of("action.decided"))
    assert refused.verdict == "mask"


def test_notifications_of_a_masked_session(
    proxy: Proxy, login: Login, postgres_server: Postgres, database: dict[str, object]
) -> None:
    port = open_port(proxy, postgres_server, database, "notify-masked", "all")
    with psycopg.connect(url(port, login), autocommit=True) as connection:
        connection.execute("SELECT 1 FROM people")
        connection.execute("LISTEN news")
        connection.execute("SELECT pg_notify('news', (SELECT email FROM people LIMIT 1))")
        (note,) = connection.notifies(timeout=5, stop_after=1)
        assert note.payload.startswith("‹email:")
    (trail,) = wait_for_trails(proxy.home, "notify-masked", 1)
    assert leaks(trail) == []


@pytest.mark.parametrize("encoding", ["LATIN1", "WIN1252", "SJIS"])
def test_other_encodings(
    proxy: Proxy, login: Login, postgres_server: Postgres, database: dict[str, object], encoding: str
) -> None:
    name = f"encoding-{encoding.lower()}"
    port = open_port(proxy, postgres_server, database, name, "all")
    with psycopg.connect(url(port, login), client_encoding=encoding, autocommit=True) as connection:
        row = connection.execute("SELECT email, note FROM people LIMIT 1").fetchone()
        assert row is not None and "email:" in row[0] and EMAIL not in row[0] and "email:" in row[1]["mail"]
        with connection.cursor() as cursor, cursor.copy("COPY people(email, note) TO STDOUT") as copy:
            assert EMAIL.encode() not in b"".join(bytes(block) for block in copy)


def test_a_huge_value_is_masked_and_a_larger_one_is_withheld(
    proxy: Proxy, login: Login, postgres_server: Postgres, database: dict[str, object]
) -> None:
    port = open_port(proxy, postgres_server, database, "huge-masked", "all")
    sql = f"SELECT repeat('word ', %s) || ' {EMAIL} ' || repeat('word ', %s), email FROM people LIMIT 1"
    with psycopg.connect(url(port, login), autocommit=True) as connection:
        row = connection.execute(sql, (400_000, 400_000)).fetchone()
        assert row is not None and len(row[0]) > 4_000_000 and EMAIL not in row[0] and "‹email:" in row[0]
        with pytest.raises(psycopg.Error, match="too long to be masked"):
            connection.execute(sql, (2_000_000, 2_000_000))
    (trail,) = wait_for_trails(proxy.home, "huge-masked", 1)
    assert trail.events[-1].status == "answer_withheld"
    assert "too long" in trail.of("action.completed")[-1].error


def test_many_rows_stay_in_order_and_memory_stays_small(
    proxy: Proxy, login: Login, postgres_server: Postgres, database: dict[str, object]
) -> None:
    port = open_port(proxy, postgres_server, database, "many-masked", "all")
    sql = """SELECT n, CASE WHEN n % 7 = 0 THEN p.email ELSE 'nobody' END
        FROM people p, generate_series(1, 20000) n WHERE p.id = 1"""
    with psycopg.connect(url(port, login), autocommit=True) as connection:
        rows = connection.execute(sql).fetchall()
    assert [row[0] for row in rows] == list(range(1, 20001))
    assert sum(row[1].startswith("‹email:") for row in rows) == 20000 // 7
    (trail,) = wait_for_trails(proxy.home, "many-masked", 1)
    outcome = next(e for e in trail.of("action.completed") if e.rows == 20000)
    assert [(m.label, m.count) for m in outcome.masked] == [("email", 20000 // 7)]


def kill(server: Postgres, pid: int) -> None:
    with server.connect() as connection:
        connection.execute("SELECT pg_terminate_backend(%s)", (pid,))


def test_a_killed_upstream_shows_nothing_unmasked(
    proxy: Proxy, login: Login, postgres_server: Postgres, database: dict[str, object]
) -> None:
    port = open_port(proxy, postgres_server, database, "killed-masked", "all")
    got: list[bytes] = []
    with psycopg.connect(url(port, login), autocommit=True) as connection, connection.cursor() as cursor:
        sql = "COPY (SELECT p.email, pg_sleep(0.01) FROM people p, generate_series(1, 1000)) TO STDOUT"
        pid = connection.execute("SELECT pg_backend_pid()").fetchone()
        assert pid is not None
        killer = threading.Timer(0.7, kill, (postgres_server, pid[0]))
        killer.start()
        with pytest.raises(psycopg.Error), cursor.copy(sql) as copy:
            got.extend(bytes(block) for block in copy)
        killer.join()
    assert got and EMAIL.encode() not in b"".join(got)


def test_tcp_is_refused_with_the_reason(proxy: Proxy, postgres_server: Postgres) -> None:
    upstream = {"host": postgres_server.host, "port": postgres_server.port}
    listen = proxy.register("tunnel-masked", "tcp", upstream, principal="batch@example.test").listen
    with socket.create_connection(("127.0.0.1", listen), timeout=10) as raw:
        raw.sendall(b"\x00\x00\x00\x08\x04\xd2\x16\x2f")
        assert raw.recv(100) == b""
    (trail,) = wait_for_trails(proxy.home, "tunnel-masked", 1)
    assert trail.of("action.requested")[0].verdict == "mask"
