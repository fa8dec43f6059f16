"""The schema, applied to the real store."""

from pathlib import Path

import pytest

from schemas.errors import ConfigError
from sinks.clickhouse.migrate import DDL, migrate, read_migrations
from tests.support.store import Store


def test_migrations_are_applied_once_and_remembered(store: Store) -> None:
    assert migrate(store.client("schema")) == []
    rows = store.client("reader").query("SELECT name FROM migrations ORDER BY number").result_rows
    assert [row[0] for row in rows] == [migration.name for migration in read_migrations()]


def test_every_column_and_table_is_described(store: Store) -> None:
    reader = store.client("reader")
    bare = (
        "SELECT table, name FROM system.columns"
        " WHERE database = 'custody' AND comment = '' AND table != 'session_states'"
    )
    assert reader.query(bare).result_rows == []
    assert reader.query("SELECT name FROM system.tables WHERE database = 'custody' AND comment = ''").result_rows == []


def test_a_changed_file_is_an_error(store: Store, tmp_path: Path) -> None:
    for path in DDL.glob("*.sql"):
        (tmp_path / path.name).write_text(path.read_text() + "\n-- changed")
    with pytest.raises(ConfigError, match=r"001_events\.sql was applied with other text"):
        migrate(store.client("schema"), tmp_path)


def test_stray_names_and_holes_are_errors(tmp_path: Path) -> None:
    (tmp_path / "001_a.sql").write_text("")
    (tmp_path / "003_c.sql").write_text("")
    with pytest.raises(ConfigError, match=r"003_c\.sql"):
        read_migrations(tmp_path)
    (tmp_path / "003_c.sql").rename(tmp_path / "notes.sql")
    with pytest.raises(ConfigError, match=r"notes\.sql"):
        read_migrations(tmp_path)


def test_statements_end_with_a_semicolon_at_the_end_of_a_line() -> None:
    statements = [statement for migration in read_migrations() for statement in migration.statements()]
    assert len(statements) == 24
    assert all(statement.startswith(("CREATE ", "ALTER ")) and ";\n" not in statement for statement in statements)


def test_partitions_are_retention_class_and_day(store: Store) -> None:
    rows = (
        store.client("reader")
        .query("SELECT name, partition_key FROM system.tables WHERE database = 'custody' AND partition_key != ''")
        .result_rows
    )
    assert {str(name): str(key) for name, key in rows} == {
        "events": "(retention_class, toYYYYMMDD(at))",
        "sessions": "(retention_class, toYYYYMMDD(opened_at))",
        "detections": "(retention_class, toYYYYMMDD(at))",
        "lineage": "(retention_class, toYYYYMMDD(at))",
        "deliveries": "(retention_class, toYYYYMMDD(at))",
    }


def test_session_states_joins_the_rows_of_a_session(store: Store) -> None:
    columns = ["session_id", "state", "at", "opened_at", "agent", "events", "reason"]
    rows = [
        "mig-1,opened,2026-01-01 00:00:00,2026-01-01 00:00:00,a,0,",
        "mig-1,closed,2026-01-01 00:00:09,2026-01-01 00:00:00,a,7,done",
        "mig-2,opened,2026-01-01 00:00:00,2026-01-01 00:00:00,b,0,",
    ]
    store.client("writer").raw_insert("sessions", columns, "\n".join(rows), fmt="CSV")
    found = (
        store.client("reader")
        .query(
            "SELECT session_id, last_state, agent, events, reason, toSecond(ended_at) FROM session_states"
            " WHERE session_id LIKE 'mig-%' ORDER BY session_id"
        )
        .result_rows
    )
    assert found == [("mig-1", "closed", "a", 7, "done", 9), ("mig-2", "opened", "b", 0, "", 0)]


def test_word_search_and_ids_use_their_indexes(store: Store) -> None:
    columns = ["session_id", "seq", "at", "statement", "action_id"]
    rows = [f"mig-i,{n},2026-01-05 00:00:00,SELECT Name FROM customers{n},act{n}" for n in range(3)]
    store.client("writer").raw_insert("events", columns, "\n".join(rows), fmt="CSV")
    reader = store.client("reader")
    for where, index in (
        ("hasAllTokens(statement, 'customers1')", "idx_statement"),
        ("action_id = 'act1'", "idx_action"),
    ):
        assert reader.query(f"SELECT seq FROM events WHERE {where} AND session_id = 'mig-i'").result_rows == [(1,)]
        plan = reader.command(f"EXPLAIN indexes = 1 SELECT seq FROM events WHERE {where}")
        assert index in str(plan)
