import pytest

from policy.postgres_cursors import MAX_PARSED_CHARS, Use, name_uses


@pytest.mark.parametrize(
    ("statement", "uses"),
    [
        ("SELECT 1", ()),
        ("DECLARE c CURSOR FOR SELECT 1", (Use("declare", "c"),)),
        ('DECLARE "C d" BINARY CURSOR WITH HOLD FOR SELECT 1', (Use("declare", "C d"),)),
        ("FETCH FORWARD 5 FROM C", (Use("fetch", "c"),)),
        ("fetch 5 in c -- declare d", (Use("fetch", "c"),)),
        ("/* declare d */ FETCH ALL c", (Use("fetch", "c"),)),
        ("MOVE 5 IN c", (Use(),)),
        ("PREPARE p AS SELECT 1", (Use("prepare", "p"),)),
        ("EXECUTE p(1)", (Use("execute", "p"),)),
        ("BEGIN; DECLARE c CURSOR FOR SELECT 1; FETCH c", (Use(), Use("declare", "c"), Use("fetch", "c"))),
        ("SELECT 'fetch'", (Use(),)),
        ("FETCH 5 FROM", None),
        ("FETCH 5 FROM c\0", None),
        ("FETCH 5 FROM c" + " " * MAX_PARSED_CHARS, None),
    ],
)
def test_what_statements_name(statement: str, uses: tuple[Use, ...] | None) -> None:
    assert name_uses(statement) == uses
