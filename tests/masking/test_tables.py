import time

import pytest

from masking.tables import Table, split_line
from tests.masking.helpers import masker

TABLES = {
    "psql": " id | password \n----+----------\n  1 | hunter2\n  2 | \n  3 | s3cr3t|x\n(3 rows)\n 4 | hunter9\n",
    "mysql": "+----+----------+\n"
    "| id | password |\n+----+----------+\n|  1 | hunter2  |\n|  3 | s3cr3t|x |\n+----+----------+\n",
    "markdown": "| id | password |\n|---|:--:|\n| 1 | hunter2 |\n| 3 | s3cr3t|x |\n",
    "csv": 'id,password,"a b"\n1,hunter2,x\n2,,y\n3,"s3cr3t|x","a,b"\n\nid,other\n4,hunter9\n',
    "tsv": "id\tpassword\n1\thunter2\n3\ts3cr3t|x\n",
    "box": "│ id │ password │\n├────┼──────────┤\n│  1 │ hunter2  │\n│  3 │ s3cr3t|x │\n",
    "sqlite": "id  password\n--  --------\n1   hunter2 \n3   s3cr3t|x\n",
    "kubectl": "ID   PASSWORD   AGE\n1    hunter2    3d\n3    s3cr3t|x   4d\n",
}


@pytest.mark.parametrize("kind", TABLES)
def test_cells_under_a_telling_column(kind: str) -> None:
    text = TABLES[kind]
    found = [text[f.start : f.end] for f in masker().mask_text(text).findings]
    assert found[0] == "hunter2"
    assert "s3cr3t" in found[1] and "hunter9" not in found
    assert len(found) == 2


@pytest.mark.parametrize(
    ("head", "rows", "secrets"),
    [
        ("(id, password) FROM stdin WITH (FORMAT csv)", '"1",hunter2\n"2","s3cr3t,x"\n', ["hunter2", "s3cr3t,x"]),
        ('("id", "password") FROM stdin WITH (FORMAT csv)', "1,hunter2\n,\n3,hunter3\n", ["hunter2", "hunter3"]),
        ("(password, note) FROM stdin CSV", '"hunter2","a\nb"\nhunter3,"c"\n', ["hunter2", "hunter3"]),
        ("(note, password) FROM stdin WITH (FORMAT csv)", '"a\nb, c",hunter2\n"d",hunter3\n', ["hunter2", "hunter3"]),
        ("(id, password) FROM stdin WITH CSV HEADER", "id,password\n1,hunter2\n", ["hunter2"]),
        ("(id, password) FROM stdin WITH (FORMAT csv, DELIMITER ';')", "1;hunter2\n", ["hunter2"]),
        ("(id, password) FROM stdin DELIMITER AS '|'", "1|hunter2\n", ["hunter2"]),
        ("(id, password) FROM stdin WITH (DELIMITER E'\\t')", "1\thunter2\n", ["hunter2"]),
        ("(id, password) FROM stdin", "1\thunter2\n", ["hunter2"]),
        ("(id, note) FROM stdin WITH (FORMAT csv)", '"1","nothing"\n', []),
    ],
)
def test_the_rows_of_a_copy_in_each_form(head: str, rows: str, secrets: list[str]) -> None:
    text = f"COPY users {head};\n{rows}\\.\nSELECT 1;\n"
    masked = masker().mask_text(text)
    assert [text[f.start : f.end] for f in masked.findings] == secrets
    assert masker().mask_text(masked.text).findings == ()


def test_a_quote_that_is_never_closed_is_bounded() -> None:
    text = "COPY t (id, password) FROM stdin CSV;\n" + '"\n' * 100_000
    started = time.process_time()
    masker().mask_text(text)
    assert time.process_time() - started < 20


def test_one_column() -> None:
    text = " password \n----------\n hunter2\n swordfish\n(2 rows)\n"
    assert [text[f.start : f.end] for f in masker().mask_text(text).findings] == ["hunter2", "swordfish"]


@pytest.mark.parametrize(
    "text", ["id,name\n1,bob\n", "the password, please\nbob: alice\n", "password\n", "a|b\n1|2\n", "", "password,\n"]
)
def test_what_is_no_table_of_secrets(text: str) -> None:
    assert masker().mask_text(text).findings == ()


@pytest.mark.parametrize(
    ("line", "mark", "cells"),
    [
        (b"a,b,c", b",", [b"a", b"b", b"c"]),
        (b'"a,b", c ,', b",", [b"a,b", b"c", b""]),
        (b" a | b ", b"|", [b"a", b"b"]),
        (b"a\t\tb", b"\t", [b"a", b"", b"b"]),
        (b"", b",", [b""]),
    ],
)
def test_lines_are_split(line: bytes, mark: bytes, cells: list[bytes]) -> None:
    assert [line[low:high] for low, high in split_line(line, 0, len(line), mark)] == cells


def test_a_long_line_and_many_columns_are_bounded() -> None:
    assert list(Table(b"password," * 50_000, 0).hits()) == []
    assert list(Table(b"password,x\n" + b"," * 100_000, 0).hits()) == []
