"""What the recorded clients do: one function a conversation, given a URL of a scratch database."""

import asyncio
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import asyncpg
import psycopg

TYPES = [
    "true", "false", "1::int2", "'-32768'::int2", "2147483647::int4", "'-9223372036854775808'::int8",
    "4294967295::oid", "1.5::float4", "1e6::float4", "123456::float4", "3.4028235e38::float4", "1e-5::float4",
    "0.1::float8", "1e15::float8", "123456789012345::float8", "'-1e-7'::float8", "'NaN'::float8",
    "'-Infinity'::float8", "0::float8", "'-0'::float8", "0.0001::float8", "12345.678e100::float8", "0::numeric",
    "123.4500::numeric", "'-0.00012'::numeric", "12345678901234567890.123456789::numeric", "1e20::numeric",
    "1e-20::numeric", "'NaN'::numeric", "'Infinity'::numeric", "10000::numeric", "'text'::text",
    "'v'::varchar(10)", "'b'::char(5)", "'n'::name", "'c'::\"char\"", "'{\"a\": [1, 2]}'::json",
    "'{\"a\": [1, 2.50], \"b\": null}'::jsonb", "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid",
    "'2024-02-29'::date", "'0044-03-15 BC'::date", "'infinity'::date", "'5874897-12-31'::date",
    "'1970-01-01'::date", "'12:34:56.789'::time", "'24:00:00'::time", "'00:00:00'::time",
    "'12:34:56+05:30'::timetz", "'12:34:56.1-08'::timetz", "'2024-02-29 23:59:59.999999'::timestamp",
    "'4713-01-01 BC'::timestamp", "'-infinity'::timestamp", "'2000-01-01 00:00:00'::timestamp",
    "'1999-12-31 23:59:59.5'::timestamp", "'2024-06-01 12:00:00+02'::timestamptz",
    "'1 year 2 mons 3 days 04:05:06.789'::interval", "'-1 year +3 days'::interval", "'-00:00:01'::interval",
    "'0'::interval", "'1 mon -1 day'::interval", "'-1 year -1 day 01:00'::interval", "'1 day'::interval",
    "'\\xdeadbeef'::bytea", "''::bytea", "'192.168.0.1'::inet", "'10.0.0.0/8'::cidr", "'10.1.2.3/24'::inet",
    "'::1'::inet", "'2001:db8::/32'::cidr", "'::ffff:1.2.3.4'::inet", "'08:00:2b:01:02:03'::macaddr",
    "'08:00:2b:01:02:03:04:05'::macaddr8", "B'10101'", "'16/B374D848'::pg_lsn", "'(1,2)'::tid",
    "array[1,2,null]::int4[]", "'{}'::int4[]", "array['a b','','null',E'q\"\\\\','x']::text[]",
    "'{{1,2},{3,4}}'::int8[]", "'[0:1]={7,8}'::int4[]", "array[1.50,2]::numeric[]", "array['2024-01-01'::date]",
    "array[true,false]", "'1 2 3'::int2vector", "''::int2vector", "'1 2'::oidvector",
    "array['{\"a\": 1}'::jsonb]", "array['192.168.0.1'::inet]", "null::int4", "''::text", "'<a/>'::xml",
    "array['1 day'::interval]", "array[1.5]::float8[]", "'1'::xid", "'3'::xid8",
]  # fmt: skip


def psql(url: str, text: str) -> None:
    command = ["psql", "-X", "-q", url]
    subprocess.run(command, input=text.encode(), check=False, capture_output=True, timeout=15)


def simple(url: str) -> None:
    psql(
        url,
        "select 1 as one, 'zwei' as two, null as three;\n"
        "create temp table t (id int primary key, v text);\n"
        "insert into t select g, 'row ' || g from generate_series(1, 5) g;\n"
        "select * from t order by id;\nupdate t set v = 'x' where id > 3;\n;\n"
        "select 1/0;\nselect no_such_column;\n",
    )


def multi_statement(url: str) -> None:
    psql(
        url,
        "create temp table m (id int)\\; insert into m values (1), (2)\\; select * from m\\; select 'b' as b, 2 as c;\n"
        "select 1\\; select 1/0\\; select 2;\nbegin\\; insert into m values (3);\nselect 1/0;\nselect 5;\nrollback;\n",
    )


def notices(url: str) -> None:
    psql(
        url,
        "listen news;\nnotify news, 'first';\ndo $$ begin raise notice 'hello %', 1; raise warning 'careful'; end $$;\n"
        "set application_name = 'other';\nselect pg_notify('news', 'second');\nset client_encoding = 'LATIN1';\n"
        "select chr(228) as ae;\nset timezone = 'UTC';\n",
    )


def cursors(url: str) -> None:
    with psycopg.connect(url) as connection:
        with connection.cursor(name="c1") as cursor:
            cursor.itersize = 3
            cursor.execute("select g from generate_series(1, 8) g")
            list(cursor)
        connection.commit()


def portals(url: str) -> None:
    """Row limits on Execute."""

    async def run() -> None:
        connection = await asyncpg.connect(url)
        async with connection.transaction():
            async for _ in connection.cursor("select g, 'x' || g from generate_series(1, 7) g", prefetch=3):
                pass
            cursor = await connection.cursor("select g from generate_series(1, $1::int) g", 5)
            await cursor.fetch(2)
            await cursor.fetch(9)
        await connection.close()

    asyncio.run(run())


def asyncpg_types(url: str) -> None:
    async def run() -> None:
        connection = await asyncpg.connect(url)
        await connection.fetch(
            "select $1::int4, $2::text, $3::numeric, $4::bytea, $5::int4[]", 7, "x", 1, b"\1", [1, 2]
        )
        await connection.executemany("select $1::int8", [(1,), (2,)])
        statement = await connection.prepare("select $1::uuid")
        await statement.fetch("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")
        await connection.close()

    asyncio.run(run())


def psycopg_sync(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("create temp table p (id int primary key, v text, n numeric)")
        connection.execute("insert into p values (%s, %s, %s)", (1, "eins", 1.5))
        connection.execute("insert into p values (%b, %b, %b)", (2, "zwei", None))
        for _ in range(7):
            connection.execute("select * from p where id = %s", (1,)).fetchall()
        connection.cursor(binary=True).execute("select id, v, n from p").fetchall()
        try:
            connection.execute("insert into p values (%s, %s, %s)", (1, "doppelt", 0))
        except psycopg.Error:
            pass
        with connection.transaction():
            connection.execute("delete from p")


def deferred_constraint(url: str) -> None:
    """The error comes from the commit in Sync, after CommandComplete."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("create temp table d (id int unique deferrable initially deferred)")
        connection.execute("insert into d values (%s)", (1,))
        try:
            connection.execute("insert into d values (%s)", (1,))
        except psycopg.Error:
            pass


def psycopg_pipeline(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        with connection.pipeline():
            cursors = [connection.execute("select %s::int as n", (n,)) for n in range(5)]
            [c.fetchall() for c in cursors]
        try:
            with connection.pipeline() as pipeline:
                connection.execute("select 1")
                connection.execute("select 1/0")
                connection.execute("select 2")
                pipeline.sync()
        except psycopg.Error:
            pass
        connection.execute("select 3")


def psycopg_copy(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute("create temp table k (id int, v text)")
        with cursor.copy("copy k from stdin") as copy:
            for n in range(20):
                copy.write_row((n, f"value {n}"))
        with cursor.copy("copy k to stdout") as copy:
            list(copy)
        with cursor.copy("copy k to stdout (format binary)") as copy:
            list(copy)
        try:
            with cursor.copy("copy k from stdin") as copy:
                copy.write("not a number\tx\n")
        except psycopg.Error:
            pass
        try:
            with cursor.copy("copy k from stdin") as copy:
                copy.write("1\tx\n")
                raise RuntimeError("stop")
        except RuntimeError:
            pass
        cursor.execute("select count(*) from k")


def psql_copy(url: str) -> None:
    psql(
        url,
        "create temp table k (id int, v text);\ncopy k from stdin;\n1\ta\n2\tb\n\\.\ncopy k to stdout;\n"
        "copy k to stdout\\; select 1;\n",
    )


def binary_types(url: str) -> None:
    """Each value twice: binary as the codec decodes it, and the server's own text."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("set timezone = 'UTC'")
        connection.execute("set datestyle = 'ISO, MDY'")
        connection.execute("set xmloption = 'content'")
        for value in TYPES:
            connection.cursor(binary=True).execute(f"select {value} as v", (), prepare=False)
            connection.cursor(binary=False).execute(f"select {value} as v", (), prepare=False)


def function_call(url: str) -> None:
    """The fast path: libpq's large object functions use it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "object"
        path.write_bytes(b"large object " * 10)
        psql(url, f"\\lo_import {path}\n\\lo_list\nbegin;\n\\lo_unlink :LASTOID\ncommit;\n")


def pgbench(mode: str) -> Callable[[str], None]:
    def run(url: str) -> None:
        with tempfile.TemporaryDirectory() as folder:
            script = Path(folder) / "s.sql"
            script.write_text("\\set n random(1, 9)\nselect :n as n;\n")
            command = ["pgbench", "-n", "-M", mode, "-t", "4", "-f", str(script), url]
            subprocess.run(command, check=False, capture_output=True, timeout=15)

    return run


def cancelled(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        try:
            connection.execute("set statement_timeout = '50ms'")
            connection.execute("select pg_sleep(5)")
        except psycopg.Error:
            pass


def terminated(url: str) -> None:
    try:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("select pg_terminate_backend(pg_backend_pid())")
    except psycopg.Error:
        pass


REPLICATION = """
import sys, psycopg.pq
connection = psycopg.pq.PGconn.connect(sys.argv[1].encode())
connection.exec_(b"IDENTIFY_SYSTEM")
connection.exec_(b"CREATE_REPLICATION_SLOT custody_slot TEMPORARY LOGICAL test_decoding")
connection.exec_(b"START_REPLICATION SLOT custody_slot LOGICAL 0/0")
connection.get_copy_data(0)
connection.put_copy_data(b"r" + bytes(33))
connection.put_copy_end()
while connection.get_copy_data(0)[0] > 0:
    pass
while connection.get_result() is not None:
    pass
connection.exec_(b"IDENTIFY_SYSTEM")
connection.finish()
"""


def replication(url: str) -> None:
    """CopyBoth. A process of its own: the blocking calls of libpq keep the interpreter's lock."""
    command = [sys.executable, "-c", REPLICATION, url + "&replication=database"]
    subprocess.run(command, check=False, capture_output=True, timeout=15)


SCRIPTS: dict[str, Callable[[str], None]] = {
    "simple": simple,
    "multi_statement": multi_statement,
    "notices": notices,
    "cursors": cursors,
    "portals": portals,
    "asyncpg_types": asyncpg_types,
    "psycopg_sync": psycopg_sync,
    "deferred_constraint": deferred_constraint,
    "psycopg_pipeline": psycopg_pipeline,
    "psycopg_copy": psycopg_copy,
    "psql_copy": psql_copy,
    "binary_types": binary_types,
    "function_call": function_call,
    "pgbench_simple": pgbench("simple"),
    "pgbench_extended": pgbench("extended"),
    "pgbench_prepared": pgbench("prepared"),
    "cancelled": cancelled,
    "terminated": terminated,
    "replication": replication,
}
