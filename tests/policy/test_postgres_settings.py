import pytest

from policy.model import Operation
from policy.postgres_settings import classify_setting


@pytest.mark.parametrize(
    ("name", "values", "operation"),
    [
        ("statement_timeout", [""], Operation.READ),
        ("TimeZone", ["UTC"], Operation.READ),
        ("search_path", ["a"], Operation.WRITE),
        ("app.user", ["a"], Operation.WRITE),
        ("role", ["a"], Operation.EXECUTE),
        ("search_path", ["evil", "pg_catalog"], Operation.EXECUTE),
        ("search_path", ["pg_temp, public"], Operation.EXECUTE),
        ("log_statement", ["none"], Operation.ADMIN),
        ("session_replication_role", ["replica"], Operation.ADMIN),
        ("standard_conforming_strings", ["ON"], Operation.READ),
        ("standard_conforming_strings", ["off"], Operation.ADMIN),
        ("standard_conforming_strings", [""], Operation.ADMIN),
        ("standard_conforming_strings", [], Operation.ADMIN),
        ("client_encoding", ["UTF8"], Operation.READ),
        ("client_encoding", ["GBK"], Operation.ADMIN),
    ],
)
def test_setting(name, values, operation):
    assert classify_setting(name, values) is operation
