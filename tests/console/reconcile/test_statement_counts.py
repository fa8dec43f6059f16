from pathlib import Path

import pytest

from console.control import Place
from console.reconcile.matching import Done
from console.reconcile.shapes import statement_shape
from console.reconcile.statement_counts import Counts, compare, count_actions, counted_shape, load_baseline, read_counts
from schemas.config import Settings
from schemas.errors import ConfigError, Unreachable
from schemas.resources import Resource
from schemas.runtime import Home
from tests.console.reconcile.conftest import PASSWORD, Logging


def resource(port: int, **upstream: object) -> Resource:
    behind = {
        "host": "127.0.0.1",
        "port": port,
        "user": "postgres",
        "secret": "file:pg.password",
        "database": "postgres",
    }
    return Resource.model_validate(
        {"name": "orders", "protocol": "postgres", "listen": 0, "upstream": behind | upstream}
    )


def place(tmp_path: Path, password: str = PASSWORD) -> Place:
    (tmp_path / "secrets").mkdir(exist_ok=True, mode=0o700)
    secret = tmp_path / "secrets" / "pg.password"
    secret.write_text(password)
    secret.chmod(0o600)
    return Place(Home(tmp_path), Settings())


def done(statement: str, database: str = "postgres", **values: object) -> Done:
    return Done(1, 2, statement_shape(statement), "s", 1, database=database, **values)  # type: ignore[arg-type]


def test_a_real_servers_counts(logging_postgres: Logging, tmp_path: Path) -> None:
    own = logging_postgres.postgres.create_database()
    target = resource(logging_postgres.postgres.port, database=own)
    here = place(tmp_path)
    with pytest.raises(ConfigError, match="create the extension there"):
        read_counts(here, target)
    with logging_postgres.postgres.connect(dbname=own) as connection:
        connection.execute("CREATE EXTENSION pg_stat_statements")
        connection.execute("CREATE TABLE counted (id int)")
        before = read_counts(here, target)
        for number in range(5):
            connection.execute("SELECT * FROM counted WHERE id = %s", (number,))
        connection.execute("SELECT * FROM counted; INSERT INTO counted VALUES (7)")
        connection.execute("BEGIN; SAVEPOINT before; ROLLBACK TO before; COMMIT")
        counts = read_counts(here, target).minus(before)
    by_id = ("postgres", own, statement_shape("SELECT * FROM counted WHERE id = 1"))
    assert counts.calls[by_id] == 5
    assert counts.at > before.at == counts.since

    several = ("SELECT * FROM counted", "INSERT INTO counted VALUES (8)")
    transaction = ("BEGIN", "SAVEPOINT a", "ROLLBACK TO a", "COMMIT")
    trail = [
        *(done("SELECT * FROM counted WHERE id = $1", own) for _ in range(3)),
        done("; ".join(several), own, texts=several),
        done("; ".join(transaction), own, texts=transaction),
    ]
    mine = Counts(
        counts.since, counts.at, calls={k: v for k, v in counts.calls.items() if k[1] == own}, texts=counts.texts
    )
    found = compare(mine, trail, target, frozenset())
    assert [(item.shape, item.count, item.text) for item in found.only_target] == [
        (by_id[2], 2, "SELECT * FROM counted WHERE id = ?")
    ]
    assert (found.matched, found.only_trail) == (3 + 2 + 4, ())
    assert compare(mine, trail, target, frozenset({"postgres"})).only_target == ()


def test_wrong_passwords_and_silent_servers_are_said_without_the_secret(
    logging_postgres: Logging, tmp_path: Path
) -> None:
    with pytest.raises(Unreachable, match="password authentication failed") as caught:
        read_counts(place(tmp_path, "wrong-secret"), resource(logging_postgres.postgres.port))
    assert "wrong-secret" not in str(caught.value)
    with pytest.raises(Unreachable, match="orders does not answer"):
        read_counts(place(tmp_path), resource(1))


def test_a_baseline_is_saved_and_subtracted(tmp_path: Path) -> None:
    key = ("app", "orders", "f1")
    saved = tmp_path / "baseline.json"
    saved.write_text(Counts(10, 20, dealloc=1, hidden=2, calls={key: 5, ("app", "orders", "f2"): 1}).as_json())
    later = Counts(10, 30, dealloc=1, hidden=2, calls={key: 8, ("app", "orders", "f2"): 1})
    left = later.minus(load_baseline(saved))
    assert (left.calls, left.since, left.at, left.dealloc, left.hidden) == ({key: 3}, 20, 30, 0, 0)
    with pytest.raises(ConfigError, match="was reset"):
        Counts(11, 30).minus(load_baseline(saved))
    for text in ("", "[]", '{"since": 1}', '{"since":1,"at":2,"dealloc":0,"hidden":0,"calls":[[1]]}', "[" * 100_000):
        saved.write_text(text)
        with pytest.raises(ConfigError, match="no saved baseline"):
            load_baseline(saved)


def test_what_failed_explains_executions_and_demands_none() -> None:
    target = resource(1)
    shape = statement_shape("SELECT 1 FROM t")
    trail = [done("SELECT 1 FROM t"), done("SELECT 1 FROM t", is_certain=False)]
    for calls, more, less in ((0, 0, 1), (1, 0, 0), (2, 0, 0), (3, 1, 0)):
        counts = Counts(1, 2, calls={("postgres", "postgres", shape): calls} if calls else {})
        found = compare(counts, trail, target, frozenset())
        assert sum(item.count for item in found.only_target) == more, calls
        assert -sum(item.count for item in found.only_trail) == less, calls


def test_other_users_never_came_through_the_proxy() -> None:
    shape = statement_shape("SELECT 1 FROM t")
    counts = Counts(1, 2, calls={("mallory", "postgres", shape): 1})
    found = compare(counts, [done("SELECT 1 FROM t")], resource(1), frozenset())
    assert [(item.user, item.count) for item in found.only_target] == [("mallory", 1)]
    assert compare(counts, [done("SELECT 1 FROM t")], resource(1, user=""), frozenset()).only_target == ()


def test_hidden_texts_are_counted_and_masked_ones_that_cannot_be_split_count_whole() -> None:
    counts = Counts(1, 2)
    counts.add("x", "y", "<insufficient privilege>", 4)
    assert (counts.hidden, counts.calls) == (4, {})
    whole = done("no sql; at all", "", texts=("no sql", "at all"))
    certain, possible = count_actions([whole], "fallback")
    assert certain == possible == {("fallback", whole.shape): 1}


def test_names_that_the_server_replaced_have_a_shape() -> None:
    assert counted_shape("SAVEPOINT $1") == statement_shape("SAVEPOINT a")
    assert counted_shape("DEALLOCATE $12") == statement_shape("DEALLOCATE _pg3_0")
