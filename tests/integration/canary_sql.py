"""Secrets through the PostgreSQL proxy, every way a client can send or get them."""

import asyncio
import contextlib
import os
from typing import Any, Final

import psycopg
from psycopg import sql

from tests.integration.canaries import KNOWN_BY_FORM
from tests.integration.leaky_upstream import Make

TABLE: Final = "canary_rows"
FIT_A_NAME: Final = ("payment_card", "us_ssn", "email", "iban", "aws_access_key_id", "github_token")
"""Secrets that an identifier of PostgreSQL can hold (63 bytes) beside its tag."""


async def fill_upstream(url: str, make: Make) -> None:
    """Rows that the agents only read: past the proxy."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute(f"CREATE TABLE {TABLE} (path text, note text, data bytea, doc jsonb, card text)")
        for path in ("sql-rows", "sql-rows-binary", "sql-copy-out", "sql-copy-out-binary", "sql-cursor"):
            found = make(path)
            await connection.execute(
                f"INSERT INTO {TABLE} VALUES (%s, %s, %s, %s, %s)",
                (path, found.text(), found.text().encode(), found.json(), found.values["payment_card"]),
            )


async def run_sql(url: str, make: Make) -> None:
    """All paths of SQL over one agent's credential."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        for step in (send_literals, send_parameters, read_rows, copy_both_ways, provoke_errors, notify, use_names):
            await step(connection, make)
    await name_clients(url, make)
    await fail_logins(url, make)
    await break_protocol(url, make)


async def send_literals(connection: Any, make: Make) -> None:
    text = sql.Literal(make("sql-literal").text())
    await connection.execute(sql.SQL("SELECT length({})").format(text))
    found = make("sql-json-literal")
    await connection.execute(sql.SQL("SELECT {}::jsonb -> 'x'").format(sql.Literal(found.json())))
    found = make("sql-comment")
    await connection.execute(f"/* {found.line()} */ SELECT 1 -- {found.line()}")
    found = make("sql-dollar-quoted")
    await connection.execute(f"SELECT length($t${found.text()}$t$)")
    found = make("sql-several")
    await connection.execute(f"SELECT '{found.tag}'; SELECT length('{found.line()}'); SELECT 2")
    found = make("sql-role")
    role = f"r{found.tag}"
    await connection.execute(f"CREATE ROLE {role} PASSWORD '{found.values['password']}'")
    await connection.execute(f"DROP ROLE {role}")


async def send_parameters(connection: Any, make: Make) -> None:
    await connection.execute("SELECT length(%t)", (make("sql-text-parameter").text(),))
    await connection.execute("SELECT length(%b::text)", (make("sql-binary-parameter").text(),))
    await connection.execute("SELECT length(%b)", (make("sql-bytea-parameter").text().encode(),))
    await connection.execute("SELECT length(%t)", (make("sql-bytea-text-parameter").text().encode(),))
    await connection.execute("SELECT %b::jsonb -> 'x'", (make("sql-json-parameter").json(),))
    found = make("sql-array-parameter")
    # Passwords alone, with no name beside them, look like nothing.
    values = [found.tag, found.url, found.pem, *(found.values[label] for label in KNOWN_BY_FORM)]
    await connection.execute("SELECT cardinality(%b::text[])", (values,))
    found = make("sql-number-parameter")
    await connection.execute("SELECT %b::int8 + 1", (int(found.values["payment_card"]),))
    async with connection.pipeline():
        await connection.execute("SELECT length(%s)", (make("sql-pipeline").text(),))
        await connection.execute("SELECT 1")


async def read_rows(connection: Any, make: Make) -> None:
    for path, binary in (("sql-rows", False), ("sql-rows-binary", True)):
        async with connection.cursor(binary=binary) as cursor:
            await cursor.execute(f"SELECT * FROM {TABLE} WHERE path = %s", (path,))
            assert make(path).values["password"] in (await cursor.fetchall())[0][1]
    async with connection.transaction():
        async with connection.cursor(name="plain_name") as cursor:
            await cursor.execute(f"SELECT * FROM {TABLE} WHERE path = 'sql-cursor'")
            assert make("sql-cursor").values["password"] in (await cursor.fetchall())[0][1]


async def copy_both_ways(connection: Any, make: Make) -> None:
    for path, options in (("sql-copy-in", ""), ("sql-copy-in-csv", "WITH (FORMAT csv)")):
        async with (
            connection.cursor() as cursor,
            cursor.copy(f"COPY {TABLE} (path, note) FROM STDIN {options}") as copy,
        ):
            if options:
                note = make(path).text().replace('"', '""')
                await copy.write(f'{path},"{note}"\n')
            else:
                await copy.write_row((path, make(path).text()))
    async with connection.cursor() as cursor:
        async with cursor.copy(f"COPY {TABLE} (path, note) FROM STDIN WITH (FORMAT binary)") as copy:
            copy.set_types(["text", "text"])
            await copy.write_row(("sql-copy-in-binary", make("sql-copy-in-binary").text()))
    for path, options in (("sql-copy-out", ""), ("sql-copy-out-binary", "WITH (FORMAT binary)")):
        query = f"COPY (SELECT * FROM {TABLE} WHERE path = '{path}') TO STDOUT {options}"
        async with connection.cursor() as cursor, cursor.copy(query) as copy:
            assert make(path).values["password"].encode() in b"".join([bytes(piece) async for piece in copy])


async def provoke_errors(connection: Any, make: Make) -> None:
    await refused(connection, "SELECT %s::text::int", (make("sql-error").line(),))
    found = make("sql-error-fields")
    fields = f"USING DETAIL = '{found.line()}', HINT = '{found.line()}', COLUMN = '{found.values['email']}'"
    await refused(connection, f"DO $d$ BEGIN RAISE EXCEPTION 'it failed: %', '{found.line()}' {fields}; END $d$")
    await refused(connection, f"SELEC '{make('sql-syntax-error').line()}'")


async def refused(connection: Any, text: str, values: tuple[str, ...] | None = None) -> None:
    with contextlib.suppress(psycopg.Error):
        await connection.execute(text, values)
        raise AssertionError("the statement was to fail")


async def notify(connection: Any, make: Make) -> None:
    found = make("sql-notify")
    await connection.execute("LISTEN canary")
    await connection.execute("SELECT pg_notify('canary', %s)", (found.text(),))
    await connection.execute(sql.SQL("NOTIFY canary, {}").format(sql.Literal(found.line())))
    async for _ in connection.notifies(timeout=5, stop_after=2):
        pass
    found = make("sql-notice")
    await connection.execute(f"DO $d$ BEGIN RAISE NOTICE 'seen: %', '{found.line()}'; END $d$")


async def use_names(connection: Any, make: Make) -> None:
    """Identifiers, prepared statements, cursors, savepoints, settings."""
    found = make("sql-identifier")
    for label in FIT_A_NAME:
        name = sql.Identifier(found.values[label])
        await connection.execute(sql.SQL("SELECT {} AS {}").format(sql.Literal(found.values[label]), name))
        await connection.execute(sql.SQL("PREPARE {} AS SELECT 1").format(name))
        await connection.execute(sql.SQL("CREATE TEMP TABLE {0} ({0} int)").format(name))
        await connection.execute(sql.SQL("SELECT * FROM {}").format(name))
        async with connection.transaction(savepoint_name=found.values[label]):
            await connection.execute(sql.SQL("SAVEPOINT {}").format(name))
            await connection.execute(sql.SQL("DECLARE {} CURSOR FOR SELECT 1").format(name))
        await connection.execute(sql.SQL("LISTEN {}").format(name))
        await connection.execute(sql.SQL("NOTIFY {}").format(name))
        await connection.execute(sql.SQL("UNLISTEN {}").format(name))
    found = make("sql-setting")
    await connection.execute("SELECT set_config('canary.note', %s, false)", (found.line(),))
    await connection.execute(sql.SQL("SET canary.other = {}").format(sql.Literal(found.line())))


async def name_clients(url: str, make: Make) -> None:
    """application_name and options of the start-up message."""
    found = make("sql-application-name")
    for label in ("payment_card", "us_ssn", "email", "iban", "github_token", "jwt", "openai_key"):
        name = f"{found.tag} {found.values[label]}"
        async with await psycopg.AsyncConnection.connect(url, autocommit=True, application_name=name) as connection:
            await connection.execute("SELECT 1")
            await connection.execute(sql.SQL("SET application_name = {}").format(sql.Literal(name)))
    found = make("sql-options")
    options = f"-c canary.note={found.values['email']} -c canary.password={found.values['password']}"
    async with await psycopg.AsyncConnection.connect(url, autocommit=True, options=options) as connection:
        await connection.execute("SELECT 1")


async def fail_logins(url: str, make: Make) -> None:
    """Refused: unknown users that are secrets, wrong passwords, databases that are not there."""
    found = make("sql-login")
    attempts: list[dict[str, str]] = [
        {"user": found.values[label]} for label in ("email", "payment_card", "us_ssn", "jwt")
    ]
    attempts.append({"password": found.values["password"]})
    attempts += [{"dbname": found.values[label]} for label in ("email", "payment_card", "github_token")]
    attempts.append({"user": found.url, "password": found.values["json_password"]})
    for attempt in attempts:
        with contextlib.suppress(psycopg.OperationalError):
            await psycopg.AsyncConnection.connect(url, connect_timeout=10, **attempt)  # type: ignore[arg-type]
            raise AssertionError("a login was to fail")


async def break_protocol(url: str, make: Make) -> None:
    """Bytes that are no PostgreSQL: before the login and in the middle of a session."""
    parameters = psycopg.conninfo.conninfo_to_dict(url)
    data = make("sql-garbage-first").text().encode()
    startup = (len(data) + 8).to_bytes(4, "big") + (196_608).to_bytes(4, "big") + data
    for wrong in (data, startup, b"GET /?q=" + data, b"\0\0\0\x08" + data):
        reader, writer = await asyncio.open_connection(str(parameters["host"]), int(str(parameters["port"])))
        writer.write(wrong)
        with contextlib.suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(5):
                await reader.read()
        writer.close()
    data = make("sql-garbage-later").text().encode()
    for wrong in (
        data,
        b"Q" + (len(data) + 4).to_bytes(4, "big") + data,
        b"\xff\0\0\x04\0" + data,
        b"B\0\0\0\x40" + data,
    ):
        connection = await psycopg.AsyncConnection.connect(url, autocommit=True)
        try:
            os.write(connection.fileno(), wrong)
            await asyncio.sleep(0.3)
        finally:
            await connection.close()
