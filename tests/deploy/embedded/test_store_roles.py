"""The tables of roles and functions agree with the engine and with deploy/clickhouse."""

import re

import pytest

from deploy.embedded.secrets import STORE_ROLES
from deploy.embedded.store_roles import GRANTS, REFUSED_FUNCTIONS, Role, allowed_functions, is_allowed_function
from tests.support.store import ROOT, Store

GRANT = re.compile(r"GRANT ([\w\s,]+?) ON custody\.(\w+) TO (\w+);")


def test_the_allow_list_is_the_engines_functions_less_the_refused(store: Store) -> None:
    names = {row[0] for row in store.client("reader").query("SELECT name FROM system.functions").result_rows}
    expected = {name.lower() for name in names if not re.fullmatch(REFUSED_FUNCTIONS, name)}
    assert allowed_functions() == expected
    refused = {name.lower() for name in names if re.fullmatch(REFUSED_FUNCTIONS, name)}
    assert not refused & allowed_functions()


@pytest.mark.parametrize("name", ["sumIf", "uniqExactArrayIf", "quantileState", "countOrNull", "COUNT", "argMax"])
def test_combinators_are_understood(name: str) -> None:
    assert is_allowed_function(name)


@pytest.mark.parametrize("name", ["file", "FILE", "fileIf", "OrNull", "State", "dictGet", "AIGenerate", "unheard", ""])
def test_what_is_not_listed_is_refused(name: str) -> None:
    assert not is_allowed_function(name)


def test_roles_are_the_logins_that_have_passwords() -> None:
    assert set(Role) == set(STORE_ROLES)


def test_a_servers_grants_are_those_of_the_front() -> None:
    text = (ROOT / "deploy/clickhouse/grants.sql").read_text()
    granted = {
        (role, table): {part.strip() for part in rights.split(",")} for rights, table, role in GRANT.findall(text)
    }
    for role in (Role.WRITER, Role.READER, Role.RETENTION):
        grants = GRANTS[role]
        tables = {table for user, table in granted if user == role}
        assert tables == grants.reads | grants.inserts | grants.expires
        for table in tables:
            rights = granted[role, table]
            assert ("SELECT" in rights) == (table in grants.reads)
            assert ("INSERT" in rights) == (table in grants.inserts)
            assert ("ALTER DELETE" in rights) == (table in grants.expires)
            assert rights <= {"SELECT", "INSERT", "ALTER DELETE"}
    for word in ("ALTER UPDATE", "TRUNCATE", "DROP", "ALL"):
        assert not re.search(rf"^GRANT[^;]*\b{word}\b[^;]*;", text, re.MULTILINE)
