"""Heads of INSERT statements: a small grammar, everything else refused."""

import pytest

from deploy.embedded.store_errors import QueryRefused
from deploy.embedded.store_insert import check_insert, check_inserter, is_insert, parse_head, pick_settings
from deploy.embedded.store_roles import Role


def test_heads_as_clients_write_them() -> None:
    text = b"INSERT INTO `custody`.`events` (`seq`, `masked.label`) FORMAT Native\n\x01\x02;\n"
    head = parse_head(text)
    assert (head.table, head.columns, head.format) == ("events", ("seq", "masked.label"), "Native")
    assert text[head.length :] == b"\x01\x02;\n"
    assert head.statement("/s/body-1", {"insert_deduplication_token": "a/b"}) == (
        "INSERT INTO custody.`events` (`seq`, `masked.label`) FROM INFILE '/s/body-1' COMPRESSION 'none'"
        " SETTINGS insert_deduplication_token = 'a/b' FORMAT Native"
    )
    for plain in (b"insert into progress format CSV\nx", b"-- c\n /* d */ INSERT INTO TABLE progress FORMAT CSV x"):
        assert is_insert(plain)
        assert parse_head(plain).statement("p", {}).startswith("INSERT INTO custody.`progress` FROM INFILE 'p'")
    assert parse_head(b'INSERT INTO "custody" . "table" ( a , b )FORMAT CSV').columns == ("a", "b")
    assert parse_head(b"INSERT INTO TABLE FORMAT CSV\n").table == "TABLE"


@pytest.mark.parametrize(
    "text",
    [
        "INSERT INTO progress VALUES (1)",
        "INSERT INTO progress (sink) VALUES (file('x'))",
        "INSERT INTO progress SELECT 1",
        "INSERT INTO progress FORMAT Values (1)",
        "INSERT INTO progress FORMAT Protobuf\n",
        "INSERT INTO progress FROM INFILE '/etc/passwd' FORMAT CSV",
        "INSERT INTO progress SETTINGS a = 1 FORMAT CSV\n",
        "INSERT INTO FUNCTION file('x') FORMAT CSV\n",
        "INSERT INTO TABLE FUNCTION file('x') FORMAT CSV\n",
        "INSERT INTO system.one FORMAT CSV\n",
        "INSERT INTO a.b.c FORMAT CSV\n",
        "INSERT INTO `a``b` FORMAT CSV\n",
        "INSERT INTO `a\\`b` FORMAT CSV\n",
        "INSERT INTO progress (sink FORMAT CSV\n",
        "INSERT INTO progress (* EXCEPT sink) FORMAT CSV\n",
        "INSERT INTO progress PARTITION BY a FORMAT CSV\n",
        "INSERT progress FORMAT CSV\n",
        "INSERT INTO progress",
        "INSERT",
        "INSERT INTO progress (" + "a, " * 40_000 + "a) FORMAT CSV\n",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    assert is_insert(text.encode())
    with pytest.raises(QueryRefused):
        parse_head(text.encode())


def test_only_the_tables_of_the_role() -> None:
    head = parse_head(b"INSERT INTO migrations FORMAT CSV\n")
    check_insert(Role.SCHEMA, head)
    for role in (Role.WRITER, Role.READER, Role.RETENTION):
        with pytest.raises(QueryRefused, match="may not insert"):
            check_insert(role, head)
    check_insert(Role.WRITER, parse_head(b"INSERT INTO events FORMAT Native\n"))


def test_who_may_not_insert_is_told_that_first() -> None:
    check_inserter(Role.WRITER)
    with pytest.raises(QueryRefused, match=r"^reader may not insert$"):
        check_inserter(Role.READER)


def test_settings_are_picked_and_checked() -> None:
    assert pick_settings({"insert_deduplication_token": "log/0/1-9", "async_insert": "1"}) == {
        "insert_deduplication_token": "log/0/1-9"
    }
    for value in ("a'b", "a b", "x" * 600, "\\"):
        with pytest.raises(QueryRefused):
            pick_settings({"insert_deduplication_token": value})


def test_not_every_statement_is_an_insert() -> None:
    for text in (b"SELECT 1", b"", b"INSERTED", b"/* INSERT */ SELECT 1", b"-- INSERT INTO x", b"/* INSERT"):
        assert not is_insert(text)
