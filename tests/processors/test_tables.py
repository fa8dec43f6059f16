"""Result rows of many events, masked together."""

import orjson
import pytest

from masking.engine import Masker
from masking.model import MaskedText
from masking.structured import mask_rows
from masking.tokens import TokenKey
from processors.tables import Table, mask_tables, read_table
from tests.support.compiled import COMPILED

MASKER = Masker(tokens=TokenKey(b"k" * 32), kept=COMPILED)
CARD = "4111111111111111"


def mask_names(texts: list[str]) -> list[MaskedText | None]:
    return MASKER.mask_batch(texts)


def payload(columns: list[str], rows: list[list[object]], **more: object) -> bytes:
    return orjson.dumps({"columns": columns, "rows": rows, **more})


def masked(*contents: bytes) -> list[Table | None]:
    return mask_tables(contents, MASKER, mask_names)


CONTENTS = [
    payload(["id", "card"], [["1", CARD], ["2", None], ["3", ""]]),
    payload(["id", "note"], [["7", "nothing here"], [8, True], []]),
    payload(["password"], [["hunter22 is it"], [None]]),
    payload(["p"], [["hunter22-is-it"]], sources=["password"]),
    payload(["id"], [["1", "beyond ann@example.com", "é " + CARD]]),
    payload([], []),
]


def test_each_table_is_masked_as_alone() -> None:
    for content, table in zip(CONTENTS, masked(*CONTENTS), strict=True):
        plain = read_table(content)
        assert table is not None and plain is not None
        rows, findings = mask_rows(MASKER, plain.told, plain.rows, plain.columns)
        assert (table.rows, tuple(table.findings)) == (rows, findings)
        assert table.is_suspect == (bool(findings) or plain.told == ["password"])
        assert orjson.loads(table.as_text()) == {"columns": plain.columns, "rows": rows}
    cards = masked(CONTENTS[0])[0]
    assert cards is not None and CARD not in cards.as_text() and cards.findings[0].place == "card"


def test_a_secret_in_a_columns_name_is_masked_and_told() -> None:
    (table,) = masked(payload(["a", CARD], [["x", "y"]]))
    assert table is not None and table.is_suspect and CARD not in table.as_text()
    assert [found.place for found in table.findings] == ["columns"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b'"rows"',
        b"[" * 5000,
        b'{"columns":["a"]}',
        b'{"columns":["a"],"rows":[["x"]],"more":1}',
        b'{"columns":[1],"rows":[["x"]]}',
        b'{"columns":["a"],"rows":["x"]}',
        b'{"columns":["a"],"rows":{"x":1}}',
        b'{"columns":["a"],"rows":[["x"]],"sources":["b","c"]}',
        b'{"columns":["a"],"rows":[["x"]],"sources":[null]}',
        b'{"columns":["\xff"],"rows":[["x"]]}',
    ],
)
def test_what_is_no_table_is_none(content: bytes) -> None:
    table = payload(["a"], [[CARD]])
    nothing, found = masked(content, table)
    assert nothing is None
    assert found is not None and found.findings
