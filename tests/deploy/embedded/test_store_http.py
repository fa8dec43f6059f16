"""The front as clients see it: clickhouse-connect, and plain HTTP as curl, DBeaver and Grafana speak it."""

import concurrent.futures
import gzip
import http.client
import json
import socket
import urllib.parse
import zlib
from base64 import b64encode
from datetime import UTC, datetime
from typing import Any

import lz4.frame
import pytest
import zstandard
from clickhouse_connect.driver.exceptions import DatabaseError

from tests.support.store import Store

PROGRESS = ["sink", "log_id", "partition", "offset"]


class Reply:
    """A response, read whole."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()
        self.text = self.body.decode("utf-8", "replace")


def ask(
    store: Store,
    body: bytes | str | None = None,
    *,
    role: str | None = "reader",
    method: str = "POST",
    path: str = "/",
    headers: dict[str, str] | None = None,
    **params: str,
) -> Reply:
    """One request, as `role` by basic auth."""
    sent = dict(headers or {})
    if role is not None:
        sent["Authorization"] = "Basic " + b64encode(f"{role}:{store.password(role)}".encode()).decode()
    connection = http.client.HTTPConnection("127.0.0.1", store.port, timeout=60)
    data = body.encode() if isinstance(body, str) else body
    connection.request(method, path + ("?" + urllib.parse.urlencode(params) if params else ""), data, sent)
    reply = Reply(connection.getresponse())
    connection.close()
    return reply


def count(store: Store, sink: str) -> int:
    return int(ask(store, f"SELECT count() FROM progress WHERE sink = '{sink}'").text)


def test_a_writer_inserts_and_a_reader_selects(store: Store) -> None:
    rows = [["first", "front", 0, 7], ["first", "front", 0, 9]]
    summary = store.client("writer").insert("progress", rows, column_names=PROGRESS)
    assert summary.written_rows == 2
    found = store.client("reader").query(
        "SELECT max(offset) FROM progress WHERE sink = {sink:String}", parameters={"sink": "first"}
    )
    assert found.result_rows == [(9,)]
    assert "reader may not insert" in ask(store, "INSERT INTO events VALUES (1)").text


def test_ping_needs_no_login(store: Store) -> None:
    assert ask(store, method="GET", path="/ping", role=None).text == "Ok.\n"
    assert ask(store, method="GET", role=None).text == "Ok.\n"


def test_there_is_no_default_user(store: Store) -> None:
    reply = ask(store, "SELECT 1", role=None)
    assert (reply.status, reply.headers["X-ClickHouse-Exception-Code"]) == (401, "194")
    for user, password in (("default", ""), ("reader", ""), ("reader", "x"), ("nobody", "x"), ("schema", "é")):
        headers = {"X-ClickHouse-User": user, "X-ClickHouse-Key": password.encode().decode("latin-1")}
        reply = ask(store, "SELECT 1", role=None, headers=headers)
        assert (reply.status, reply.headers["X-ClickHouse-Exception-Code"]) == (403, "516")
        assert reply.text.startswith(f"Code: 516. DB::Exception: {user}: Authentication failed")
    for value in ("Basic !!!", "Bearer x", "Basic " + b64encode(b"\xff:\xff").decode(), "Basic"):
        assert ask(store, "SELECT 1", role=None, headers={"Authorization": value}).status == 403


def test_a_login_may_stand_in_headers_or_parameters(store: Store) -> None:
    password = store.password("reader")
    keys = {"X-ClickHouse-User": "reader", "X-ClickHouse-Key": password}
    assert ask(store, "SELECT 1", role=None, headers=keys).text == "1\n"
    assert ask(store, "SELECT 1", role=None, user="reader", password=password).text == "1\n"


def test_a_query_may_stand_in_the_url_the_body_or_both(store: Store) -> None:
    assert ask(store, method="GET", query="SELECT 1").text == "1\n"
    assert ask(store, query="SELECT 2").text == "2\n"
    assert ask(store, "+ 3", query="SELECT 1").text == "4\n"
    curl = {"Content-Type": "application/x-www-form-urlencoded"}
    assert ask(store, "SELECT 1 + 1", headers=curl).text == "2\n"
    parts = {"query": "SELECT {a:UInt8}", "param_a": "5"}
    lines = [f'--b\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n' for k, v in parts.items()]
    form = {"Content-Type": "multipart/form-data; boundary=b"}
    assert ask(store, "".join(lines) + "--b--\r\n", headers=form).text == "5\n"
    assert ask(store, "no form at all", headers=form).status == 400
    assert ask(store, "SELECT {a:String}, {b:Array(UInt8)}", param_a="x\\ty", param_b="[1,2]").text == "x\\ty\t[1,2]\n"
    assert ask(store, method="GET", query="SELECT 1 -- " + "x" * 100_000).text == "1\n"


def test_formats_and_headers(store: Store) -> None:
    reply = ask(store, "SELECT 1 AS a, 'x' AS b", query_id="my-id")
    assert reply.headers["X-ClickHouse-Query-Id"] == "my-id"
    assert reply.headers["X-ClickHouse-Format"] == "TabSeparated"
    assert reply.headers["X-ClickHouse-Timezone"] == "UTC"
    assert json.loads(reply.headers["X-ClickHouse-Summary"])["read_rows"] == "1"
    assert ask(store, "SELECT 1 AS a", default_format="JSONEachRow").text == '{"a":1}\n'
    assert ask(store, "SELECT 1 AS a", headers={"X-ClickHouse-Format": "CSVWithNames"}).text == '"a"\n1\n'
    reply = ask(store, "SELECT 1 AS a FORMAT JSON", default_format="CSV")
    assert reply.headers["Content-Type"] == "application/json; charset=UTF-8"
    assert json.loads(reply.text)["data"] == [{"a": 1}]
    for name in ("Pretty", "PrettyCompact", "Vertical", "TSVWithNames", "CSV", "JSONCompact", "Markdown", "XML"):
        assert ask(store, f"SELECT 1 AS a FORMAT {name}").status == 200
    for name in ("Native", "RowBinary", "ArrowStream", "Parquet"):
        reply = ask(store, "SELECT 1 AS a", default_format=name)
        assert (reply.status, reply.headers["Content-Type"]) == (200, "application/octet-stream")
    assert ask(store, "SELECT 1 FORMAT NoSuchFormat").status in (400, 404, 500)
    assert "UNKNOWN_FORMAT" in ask(store, "SELECT 1", default_format="Template").text


def test_errors_are_worded_as_clickhouse_does(store: Store) -> None:
    reply = ask(store, "SELEC 1")
    assert (reply.status, reply.headers["X-ClickHouse-Exception-Code"]) == (400, "62")
    assert reply.text.startswith("Code: 62. DB::Exception: Syntax error") and "(SYNTAX_ERROR) (version " in reply.text
    assert ask(store, "SELECT no_such_column FROM events").status == 404
    assert "UNKNOWN_TABLE" in ask(store, "SELECT 1 FROM no_such_table").text
    assert ask(store, "").status == ask(store, " ; ").status == 400
    assert ask(store, b"SELECT '\xff'").status == 400
    assert ask(store, b"SELECT 1\0").status == 400
    assert ask(store, "SELECT {a:UInt8}").status == 400
    assert ask(store, "SELECT 1", method="PUT").status == 405
    with pytest.raises(DatabaseError, match="UNKNOWN_IDENTIFIER") as caught:
        store.client("reader").query("SELECT no_such_column FROM events")
    assert caught.value.code == 47


@pytest.mark.parametrize("encoding", ["lz4", "zstd", "gzip", "deflate", "identity"])
def test_request_bodies_may_be_compressed(store: Store, encoding: str) -> None:
    pack = {
        "lz4": lz4.frame.compress,
        "zstd": zstandard.ZstdCompressor().compress,
        "gzip": gzip.compress,
        "deflate": zlib.compress,
        "identity": bytes,
    }[encoding]
    sink = f"packed-{encoding}"
    lines = [f"{sink},log,0,{n}\n".encode() for n in range(30_000)]
    frames = [pack(b"".join(lines[:10])), pack(b"".join(lines[10:20_000])), pack(b"".join(lines[20_000:]))]
    statement = "INSERT INTO custody.progress (sink, log_id, partition, offset) FORMAT CSV"
    headers = {"Content-Encoding": encoding}
    if encoding == "deflate":
        frames = [pack(b"".join(lines))]
    reply = ask(store, b"".join(frames), role="writer", headers=headers, query=statement)
    assert (reply.status, reply.text) == (200, "")
    assert json.loads(reply.headers["X-ClickHouse-Summary"])["written_rows"] == "30000"
    inline = pack(statement.encode() + b"\n" + lines[0])
    assert ask(store, inline, role="writer", headers=headers).status == 200
    assert count(store, sink) == 30_001
    if encoding != "identity":
        assert ask(store, frames[0][:-3], role="writer", headers=headers, query=statement).status == 400
        assert ask(store, b"rubbish" * 99, role="writer", headers=headers, query=statement).status == 400
        assert count(store, sink) == 30_001


def test_unknown_encodings_are_refused(store: Store) -> None:
    assert ask(store, b"x", headers={"Content-Encoding": "compress"}).status == 400
    assert ask(store, b"x", decompress="1").status == 400
    assert ask(store, "SELECT 1", compress="1").status == 400


def test_many_uploads_at_once(store: Store) -> None:
    statement = "INSERT INTO progress (sink, offset) FORMAT CSV"
    with concurrent.futures.ThreadPoolExecutor(24) as pool:
        replies = pool.map(lambda n: ask(store, f"many,{n}", role="writer", query=statement), range(24))
    assert {reply.status for reply in replies} == {200}
    assert count(store, "many") == 24


@pytest.mark.parametrize("encoding", ["lz4", "zstd", "gzip", "deflate"])
def test_responses_are_compressed_on_request(store: Store, encoding: str) -> None:
    unpack = {
        "lz4": lz4.frame.decompress,
        "zstd": lambda body: zstandard.ZstdDecompressor().decompress(body, max_output_size=1 << 24),
        "gzip": gzip.decompress,
        "deflate": zlib.decompress,
    }[encoding]
    query = "SELECT number FROM numbers(10000)"
    plain = ask(store, query).body
    reply = ask(store, query, headers={"Accept-Encoding": f"{encoding}, br"}, enable_http_compression="1")
    assert reply.headers["Content-Encoding"] == encoding
    assert unpack(reply.body) == plain
    reply = ask(store, query, headers={"Accept-Encoding": encoding}, enable_http_compression="0")
    assert "Content-Encoding" not in reply.headers and reply.body == plain


def test_clickhouse_connect_round_trips_every_kind_of_column(store: Store) -> None:
    at = datetime(2026, 2, 3, 4, 5, 6, 789000, tzinfo=UTC)
    row: dict[str, Any] = {
        "session_id": "round-trip", "seq": 1, "at": at, "retention_class": "standard",
        "parameters": ["a", None, "'"], "delegation": [("a", "b")], "attributes": {"k": "v"}, "links": {},
        "masked": [("card", 2, "tok", "statement")], "is_truncated": True, "opening": b"\0" * 15 + b"\1",
        "canonical": bytes(range(256)), "payload": "sn\u00f6", "objects": ["t"], "statement": "SELECT 1",
    }  # fmt: skip
    for compress in (False, "lz4", "zstd"):
        writer = store.client("writer", compress=compress)
        settings = {"insert_deduplication_token": "round/trip/1"}
        writer.insert("events", [list(row.values())], column_names=list(row), settings=settings)
    formats: dict[str, str | dict[str, str]] = {"canonical": "bytes", "opening": "bytes"}
    found = store.client("reader").query(
        f"SELECT {', '.join(row)} FROM events WHERE session_id = 'round-trip'", column_formats=formats
    )
    assert len(found.result_rows) == 1, "the same deduplication token stores once"
    got = dict(zip(row, found.result_rows[0], strict=True))
    assert got["at"].replace(tzinfo=UTC) == at
    assert got["masked"][0] in ({"label": "card", "count": 2, "token": "tok", "place": "statement"}, row["masked"][0])
    for name in ("parameters", "attributes", "opening", "canonical", "payload", "is_truncated"):
        assert got[name] == row[name], name


def test_the_file_of_a_body_is_gone_afterwards(store: Store) -> None:
    inbox = store.home.root / "store" / "inbox"
    statement = "INSERT INTO progress (sink, offset) FORMAT CSV"
    assert ask(store, "inbox,1", role="writer", query=statement).status == 200
    bad = ask(store, "inbox,not a number", role="writer", query=statement)
    assert bad.status == 400 and str(inbox) not in bad.text
    assert ask(store, "", role="writer", query=statement).status == 500
    assert list(inbox.iterdir()) == []


def test_results_and_time_are_bounded(store: Store) -> None:
    reply = ask(store, "SELECT repeat('x', 1000) FROM numbers(1000000000)")
    assert reply.status == 413 and "TOO_MANY_ROWS_OR_BYTES" in reply.text
    assert ask(store, "SELECT 1").text == "1\n"
    assert ask(store, "SELECT '" + "x" * (256 << 10) + "'").status == 413


def test_many_clients_at_once(store: Store) -> None:
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        texts = pool.map(lambda n: ask(store, f"SELECT {n}, count() FROM events WHERE 0").text, range(60))
    assert list(texts) == [f"{n}\t0\n" for n in range(60)]


def test_nothing_of_a_query_or_a_login_is_logged(store: Store) -> None:
    canary = "canary-4f9d2c"
    ask(store, f"SELECT '{canary}'")
    ask(store, f"SELECT {canary}")
    ask(store, f"SELECT file('/{canary}')")
    ask(store, f"{canary},1", role="writer", query="INSERT INTO progress (sink, offset) FORMAT CSV")
    ask(store, "SELECT 1", role=None, user=canary, password=canary)
    ask(store, "SELECT 1", query_id=canary)
    ask(store, canary, headers={"Content-Type": f"multipart/form-data; boundary={canary}"})
    for line in (f"GET /?query={canary} HTTP/9.9\r\n\r\n", f"{canary}\r\n\r\n", f"GET / HTTP/1.1\r\n{canary}\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", store.port), 30) as raw:
            raw.sendall(line.encode())
            assert b" 400 " in raw.recv(65536)
    log = store.log_text()
    assert canary not in log
    assert not any(store.password(role) in log for role in ("reader", "writer", "retention", "schema"))
    assert "role=reader" in log and "kind=insert progress" in log
