"""Against a real store: the reader's login, and its errors in the store's own words."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from console import control
from console.store import QueryFailed, Store, message_of, open_store
from schemas.errors import Unreachable
from tests.console.conftest import Record
from tests.support.homes import write_settings


@pytest.fixture
def reader(filled: Record) -> Iterator[Store]:
    with open_store(control.find_place()) as store:
        yield store


def test_rows_and_parameters(reader: Store) -> None:
    nasty = "'; DROP TABLE custody.events; --"
    assert reader.rows("SELECT {x:String} AS x, {y:UInt64} + 1 AS y", {"x": nasty, "y": 41}) == [{"x": nasty, "y": 42}]
    assert reader.one("SELECT 1 AS a WHERE 0") == {}


def test_bytes_that_are_no_text(reader: Store) -> None:
    sql = "SELECT concat(unhex('ff00'), 'canary') AS a, toFixedString('abc', 3) AS b, map('k', ['v']) AS c"
    assert reader.rows(sql, as_bytes=True) == [{"a": b"\xff\x00canary", "b": b"abc", "c": {b"k": [b"v"]}}]


def test_an_answer_is_streamed(reader: Store) -> None:
    body = b"".join(reader.stream("SELECT number FROM numbers(100000)", "CSV"))
    assert body.split() == [str(number).encode() for number in range(100_000)]


@pytest.mark.parametrize("sql", ["DROP TABLE custody.events", "INSERT INTO custody.progress (sink) VALUES ('x')"])
def test_nothing_can_be_changed(reader: Store, sql: str) -> None:
    with pytest.raises(QueryFailed, match=r"Code: 497"):
        reader.rows(sql)


def test_errors_are_one_line_of_the_store(reader: Store) -> None:
    with pytest.raises(QueryFailed) as caught:
        reader.rows("SELECT nothing FROM custody.events")
    assert str(caught.value).startswith("Code: 47. DB::Exception: ")
    with pytest.raises(QueryFailed, match="Code"):
        list(reader.stream("SELECT broken(", "CSV"))


def test_an_error_does_not_quote_how_the_store_parses(reader: Store) -> None:
    with pytest.raises(QueryFailed) as caught:
        list(reader.stream("SELECT broken(", "CSV"))
    assert "formatQuerySingleLine" not in str(caught.value)
    assert str(caught.value).startswith("Code: 62. DB::Exception: Syntax error")
    assert str(caught.value).endswith("(SYNTAX_ERROR)")


def test_an_error_does_not_quote_what_was_put_behind_the_statement(reader: Store) -> None:
    with pytest.raises(QueryFailed, match=r"failed at position 7 .*: 1\. Expected"):
        b"".join(reader.stream("selec 1", "JSONCompact"))


def test_no_store_is_said_in_one_line(filled: Record) -> None:
    write_settings(filled.home, store={"url": "http://127.0.0.1:1"})
    with pytest.raises(Unreachable, match=r"127\.0\.0\.1:1"), open_store(control.find_place()):
        pass


def test_no_store_is_said_once(filled: Record) -> None:
    write_settings(filled.home, store={"url": "http://127.0.0.1:1"})
    command = [sys.executable, "-m", "console.cli", "query", "SELECT 1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # the log has handlers of pytest here
    assert done.returncode == 2
    assert done.stderr == "custody: the store at http://127.0.0.1:1 does not answer; see `custody status`\n"


def test_a_message_without_a_code_stays() -> None:
    assert message_of(ValueError("odd\n thing")) == "odd thing"
