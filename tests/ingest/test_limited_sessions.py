"""Answers of which policy allows so many rows, through the proxy, as real clients and a real server see them."""

import asyncio
from collections.abc import Iterator

import asyncpg
import psycopg
import pytest

from schemas.runtime import Home
from tests.ingest.test_postgres import register, url
from tests.support.kafka import Kafka
from tests.support.postgres import Postgres
from tests.support.proxies import Login, Proxy, Trail, issue_credential, run_proxy_under, wait_for_trails

POLICY = """
@id("rest") permit (principal, action, resource);
@id("few") @limit_rows("3") permit (principal, action, resource) when { context.objects.contains("people") };
@id("masked") @mask("columns=name") permit (principal, action, resource) when { context.objects.contains("people") };
"""
TABLE = """
CREATE TABLE people(id int, name text); INSERT INTO people SELECT i, 'name ' || i FROM generate_series(1, 2000) i;
CREATE TABLE things AS SELECT i AS id FROM generate_series(1, 500) i;
CREATE FUNCTION opened() RETURNS refcursor LANGUAGE plpgsql AS
    $$ DECLARE c refcursor; BEGIN OPEN c FOR SELECT * FROM people; RETURN c; END $$;
"""


@pytest.fixture(scope="module")
def proxy(secrets_home: Home, tmp_path_factory: pytest.TempPathFactory, kafka: Kafka) -> Iterator[Proxy]:
    with run_proxy_under(POLICY, secrets_home, tmp_path_factory.mktemp("limited"), kafka) as running:
        yield running


@pytest.fixture(scope="module")
def login(proxy: Proxy) -> Login:
    return issue_credential(proxy.home, proxy.writer, "limited-agent")


@pytest.fixture
def connection(
    proxy: Proxy, login: Login, postgres_server: Postgres, request: pytest.FixtureRequest
) -> Iterator[psycopg.Connection]:
    """On a resource that has the test's name."""
    database = postgres_server.create_database()
    dsn = f"postgresql://{postgres_server.user}:{postgres_server.password}@{postgres_server.host}"
    with psycopg.connect(f"{dsn}:{postgres_server.port}/{database}", autocommit=True) as owner:
        owner.execute(TABLE)
    port = register(proxy, postgres_server, request.node.name, {"database": database})
    with psycopg.connect(url(port, login), autocommit=True) as opened:
        yield opened


def trail_of(proxy: Proxy, connection: psycopg.Connection, name: str) -> Trail:
    connection.close()
    (trail,) = wait_for_trails(proxy.home, name, 1)
    return trail


def test_queries(proxy: Proxy, connection: psycopg.Connection) -> None:
    notices: list[str] = []
    connection.add_notice_handler(lambda told: notices.append(told.message_primary or ""))
    for parameters in (None, (0,)):  # the simple protocol, and the extended one
        bound = "%s" if parameters else "0"
        cursor = connection.execute(f"SELECT id, name FROM people WHERE id > {bound}", parameters)
        rows = cursor.fetchall()
        assert (len(rows), cursor.rowcount, cursor.statusmessage) == (3, 3, "SELECT 3")
        assert all("name" not in row[1] for row in rows)  # masked as well
    assert notices == ["Custody: policy limits this answer: 1997 rows more were withheld"] * 2
    assert len(connection.execute("SELECT * FROM things").fetchall()) == 500
    assert connection.execute("SELECT count(*) FROM people LIMIT 1").fetchone() == (2000,)
    updated = connection.execute("UPDATE people SET name = name WHERE id < 10 RETURNING id")
    assert (updated.statusmessage, len(updated.fetchall())) == ("UPDATE 9", 3)
    trail = trail_of(proxy, connection, "test_queries")
    asked = trail.of("action.requested")[0].attributes
    assert (asked["policy.limit_rows"], asked["policy.ids"]) == ("3", "few,masked,rest")
    done = trail.of("action.completed")[0]
    assert (done.rows, done.attributes["limit.upstream_rows"], done.attributes["limit.withheld"]) == (3, "2000", "1997")
    assert b"id" in done.payload and done.payload.count(b"[") <= 6


def test_pipelines_transactions_and_several_statements(connection: psycopg.Connection) -> None:
    with connection.transaction(), connection.pipeline():
        cursors = [connection.execute(f"SELECT * FROM {name}") for name in ("people", "things", "people")]
        assert [len(cursor.fetchall()) for cursor in cursors] == [3, 500, 3]
    many = connection.execute("SELECT id FROM people WHERE id <= 2; SELECT id FROM people")
    assert len(many.fetchall()) == 2
    assert many.nextset() and len(many.fetchall()) == 1 and many.statusmessage == "SELECT 1"
    with pytest.raises(psycopg.errors.DivisionByZero):
        connection.execute("SELECT 1 / (id - 10) FROM people")
    assert connection.execute("SELECT 1").fetchone() == (1,)


def test_cursors(connection: psycopg.Connection) -> None:
    for _ in range(2):
        with connection.transaction(), connection.cursor("c") as cursor:
            cursor.execute("SELECT id FROM people")
            assert [len(cursor.fetchmany(2)) for _ in range(3)] == [2, 1, 0]
        with connection.transaction(), connection.cursor("c") as cursor:
            cursor.execute("SELECT id FROM things")
            assert len(cursor.fetchmany(50)) == 50
    with connection.transaction():
        (name,) = connection.execute("SELECT opened()").fetchone() or ("",)
        assert len(connection.execute(f'FETCH 50 FROM "{name}"').fetchall()) == 3
        assert len(connection.execute(f'FETCH 50 FROM "{name}"').fetchall()) == 0
    connection.execute("PREPARE p AS SELECT id FROM people")
    assert len(connection.execute("EXECUTE p").fetchall()) == 3


def test_copies(connection: psycopg.Connection) -> None:
    for form, size in (("", 3), ("(FORMAT csv, HEADER)", 4), ("(FORMAT csv, QUOTE '''', ESCAPE '\\')", 3)):
        with connection.cursor() as cursor:
            with cursor.copy(f"COPY (SELECT id FROM people) TO STDOUT {form}") as copy:
                text = b"".join(bytes(piece) for piece in copy)
            assert (len(text.splitlines()), cursor.rowcount) == (size, 3)
    with connection.cursor() as cursor, cursor.copy("COPY (SELECT id FROM people) TO STDOUT (FORMAT binary)") as copy:
        copy.set_types(["int4"])
        assert [row[0] for row in copy.rows()] == [1, 2, 3]
    with connection.cursor() as cursor, cursor.copy("COPY things TO STDOUT") as copy:
        assert len(list(copy.rows())) == 500


def test_portals_that_are_read_piece_by_piece(
    proxy: Proxy, login: Login, connection: psycopg.Connection, request: pytest.FixtureRequest
) -> None:
    """asyncpg reads a cursor with Execute after Execute on one portal."""
    port = proxy.ports[request.node.name]

    async def read(table: str) -> list[int]:
        agent = await asyncpg.connect(url(port, login))
        try:
            async with agent.transaction():
                return [row["id"] async for row in agent.cursor(f"SELECT id FROM {table}", prefetch=2)]
        finally:
            await agent.close()

    assert asyncio.run(read("people")) == [1, 2, 3]
    assert len(asyncio.run(read("things"))) == 500
