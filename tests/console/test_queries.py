"""Every query runs on the real tables and gives what its name says."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from console import control, queries
from console.store import Store, open_store
from tests.console.conftest import LOG, START, Record


@pytest.fixture
def reader(filled: Record) -> Iterator[Store]:
    with open_store(control.find_place()) as store:
        yield store


DAY_US = 86_400_000_000
NOW_US = int(START.timestamp() * 1_000_000)
WINDOW = {"since": NOW_US - DAY_US, "until": NOW_US + DAY_US, "limit": 10}
NO_FILTER = {"agent": "", "principal": "", "resource": "", "run_id": "", "with_custody": False} | WINDOW
PARTITION = {"log_id": LOG, "partition": 0, "upto": 6}


def ids(rows: list[dict[str, Any]]) -> list[str]:
    return [row["session_id"] for row in rows]


def test_every_query_is_bound_by_the_server() -> None:
    named = {name: text for name, text in vars(queries).items() if name.isupper() and "SELECT" in str(text)}
    assert len(named) > 10
    for text in named.values():
        assert "%s" not in text and "%(" not in text
        assert re.findall(r"\{(?!\w+:)", text) == []


def test_sessions(reader: Store) -> None:
    assert ids(reader.rows(queries.SESSIONS, NO_FILTER)) == ["s1", "s2"]
    assert ids(reader.rows(queries.SESSIONS, NO_FILTER | {"agent": "other"})) == ["s2"]
    assert ids(reader.rows(queries.SESSIONS, NO_FILTER | {"principal": "nobody"})) == []
    assert ids(reader.rows(queries.SESSIONS, NO_FILTER | {"until": NOW_US - 1})) == []
    (closed,) = [row for row in reader.rows(queries.SESSIONS, NO_FILTER) if row["session_id"] == "s1"]
    assert (closed["state"], closed["events"], closed["reason"]) == ("closed", 5, "agent_closed")


def test_sessions_with_words(reader: Store) -> None:
    assert ids(reader.rows(queries.SESSIONS_WITH_WORDS, NO_FILTER | {"text": "drop CARDS"})) == ["s1"]
    assert ids(reader.rows(queries.SESSIONS_WITH_WORDS, NO_FILTER | {"text": "nowhere"})) == []


def test_activity(reader: Store) -> None:
    (row,) = reader.rows(queries.ACTIVITY, {"sessions": ["s1"]})
    assert (row["actions"], row["refused"], row["row_count"], row["masked_values"], row["stored"]) == (2, 1, 2, 1, 5)


def test_one_session(reader: Store) -> None:
    row = reader.one(queries.SESSION, {"session": "s1"})
    assert (row["agent"], row["source"], row["client"]) == ("planner", "127.0.0.1:4000", "psql")
    assert ids(reader.rows(queries.SESSIONS_LIKE, {"prefix": "s"})) in (["s1", "s2"], ["s2", "s1"])


def test_pages_of_a_session(reader: Store) -> None:
    first = reader.rows(queries.SESSION_EVENTS, {"session": "s1", "after": 0, "limit": 3})
    rest = reader.rows(queries.SESSION_EVENTS, {"session": "s1", "after": 3, "limit": 3})
    assert [row["seq"] for row in first + rest] == [1, 2, 3, 4, 5]


def test_tail(reader: Store) -> None:
    page = {"log_id": LOG, "partition": 0, "upto": 6, "agent": "", "resource": "", "limit": 2}
    rows = reader.rows(queries.TAIL, page | {"after": 2, "position": 0})
    assert [row["offset"] for row in rows] == [3, 4]
    assert [
        row["offset"] for row in reader.rows(queries.TAIL, page | {"after": -1, "position": 0, "agent": "other"})
    ] == [6]


def test_alerts(reader: Store) -> None:
    wanted = {"agent": "", "resource": "", "rule": "", "severities": ["high", "critical"]} | WINDOW
    assert [row["rule"] for row in reader.rows(queries.ALERTS, wanted)] == ["failed_burst"]
    assert reader.rows(queries.ALERTS, wanted | {"severities": ["low"]}) == []


def test_chains(reader: Store) -> None:
    assert {"log_id": LOG, "partition": 0, "offset": 6} in reader.rows(queries.PROGRESS, {"sink": queries.SINK})
    chain = reader.one(queries.ORIGIN_CHAIN, PARTITION)
    assert (chain["origins"], chain["first"], chain["last"], chain["stored"]) == (7, 0, 6, 7)
    assert reader.rows(queries.MISSING_ORIGINS, PARTITION) == []
    (epoch,) = reader.rows(queries.EPOCH_CHAINS, PARTITION)
    assert (epoch["proxy_id"], epoch["batches"], epoch["first"], epoch["last"]) == ("proxy-tcp", 7, 0, 6)
    assert set(ids(reader.rows(queries.SESSION_CHAINS, PARTITION))) == {"s2", "proxy-tcp-e1"}
    assert reader.one(queries.SESSION_COUNT, PARTITION) == {"sessions": 3, "stored": 7, "truncated": 0}


def test_rest(reader: Store) -> None:
    assert [row["epoch"] for row in reader.rows(queries.EPOCHS)] == ["e1"]
    assert reader.rows(queries.GAPS, {"limit": 5}) == []
    assert reader.one(queries.EXPIRED)["orders"] == 0
    (ledger,) = reader.rows(queries.COVERAGE)
    assert (ledger["from_agent"], ledger["from_upstream"], ledger["opaque_agent"], ledger["sessions"]) == (
        60,
        40,
        10,
        1,
    )
    assert sorted(ids(reader.rows(queries.RUN_SESSIONS, {"run_id": "run-1"}))) == ["s1", "s2"]
    assert len(reader.rows(queries.RUN_EVENTS, {"run_id": "run-1"})) == 7
    assert "canonical" in reader.rows(queries.RUN_EVERYTHING, {"run_id": "run-1"})[0]


def test_the_examples_of_the_docs_run(reader: Store) -> None:
    text = (Path(__file__).parents[2] / "docs" / "query.md").read_text("utf-8")
    (block,) = re.findall(r"```sql\n(.*?)```", text, re.DOTALL)
    examples = [part.strip() for part in re.sub(r"^--.*$", "", block, flags=re.MULTILINE).split(";\n") if part.strip()]
    assert len(examples) > 5
    for sql in examples:
        reader.rows(sql)
