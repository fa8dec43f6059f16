import time

import pytest

from console.reconcile.postgres_prefix import compile_prefix
from schemas.errors import ConfigError

STAMP = "2026-01-31 12:00:00.123 UTC"


@pytest.mark.parametrize(
    ("prefix", "line", "fields"),
    [
        ("%m [%p] ", f"{STAMP} [42] LOG:  statement: SELECT 1", {"pid": "42", "message": "statement: SELECT 1"}),
        ("%t:%r:%u@%d:[%p]:", "2026-01-31 12:00:00 UTC:10.0.0.1(5432):app@orders:[7]:ERROR:  no",
         {"source": "10.0.0.1", "user": "app", "database": "orders", "severity": "ERROR"}),
        ("%m [%p] %q%u@%d ", f"{STAMP} [42] LOG:  checkpoint", {"user": None, "message": "checkpoint"}),
        ("%m [%p] %q%u@%d ", f"{STAMP} [42] app@orders LOG:  hello", {"user": "app"}),
        ("%n %c %h %-10u|%%|", "1769860800.123 65bb.1f [local] app       |%|LOG:  x",
         {"epoch": "1769860800.123", "session": "65bb.1f", "host": "[local]", "user": "app"}),
        ("%m %e %l %x %v %Q %s %b %a %i %L %P ",
         f"{STAMP} 00000 3 0 2/11 -77 2026-01-31 11:59:59 UTC client backend my app SELECT 10.0.0.2 5 LOG:  x",
         {"sqlstate": "00000", "message": "x"}),
    ],
)  # fmt: skip
def test_prefixes(prefix: str, line: str, fields: dict[str, str | None]) -> None:
    found = compile_prefix(prefix).fullmatch(line)
    assert found is not None
    assert {name: found[name] for name in fields} == fields


def test_a_prefix_that_cannot_place_lines_is_refused() -> None:
    for prefix, words in (("[%p] ", "no time"), ("%m %y ", "%y"), ("%m" + "x" * 600, "longer")):
        with pytest.raises(ConfigError, match=words):
            compile_prefix(prefix)


def test_a_hostile_line_costs_little() -> None:
    pattern = compile_prefix("%m %u %d %a %b ")
    begun = time.process_time()
    assert pattern.fullmatch(STAMP + " a" * 2000) is None
    assert time.process_time() - begun < 5
