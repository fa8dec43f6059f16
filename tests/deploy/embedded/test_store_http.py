"""The front as clients see it."""

from tests.support.store import Store


def test_a_writer_inserts_and_a_reader_selects(store: Store) -> None:
    columns = ["sink", "log_id", "partition", "offset"]
    rows = [["first", "front", 0, 7], ["first", "front", 0, 9]]
    summary = store.client("writer").insert("progress", rows, column_names=columns)
    assert summary.written_rows == 2
    found = store.client("reader").query(
        "SELECT max(offset) FROM progress WHERE sink = {sink:String}", parameters={"sink": "first"}
    )
    assert found.result_rows == [(9,)]
