import re
import time

import pytest

from console.table import LEAST, WIDEST, Painter, as_paragraph, break_cell, fit, measure, print_table

SESSION = ("session", "opened", "state", "agent", "principal", "resource", "actions", "note")
ROW = ("e6a01a446e9c4edbb71a8dc011fe15d6", "2026-11-26 16:27:11.538", "closed", "planner", "ann@b.test", "shop", 7, "")


def on_terminal(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)


def test_a_table_takes_markup_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("name", "state"), [("[red]x[/red]", "up")], styles={"up": "green"})
    out = capsys.readouterr().out
    assert "[red]x[/red]" in out
    assert "up" in out


def test_a_piped_table_breaks_no_cell_in_two(capsys: pytest.CaptureFixture[str]) -> None:
    cells = ["x" * 90, "ann@example.com " * 8, "y" * 40]
    print_table(("first", "second", "third"), [cells])
    (row,) = [line for line in capsys.readouterr().out.splitlines() if "xxx" in line]
    assert [cell.strip() for cell in cells] == [cell.strip() for cell in re.split(r"   +", row.strip())]
    print_table(("wide",), [["z" * 5000]])
    assert max(map(len, capsys.readouterr().out.splitlines())) <= WIDEST


def test_an_empty_table_says_that_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("name", "state"), [])
    head, *rest = [line.strip() for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert head.split() == ["name", "state"] and rest[-1] == "(nothing)"


@pytest.mark.parametrize("columns", [20, 40, 80, 100, 200])
def test_every_value_is_whole_and_in_sight_on_every_terminal(
    columns: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    on_terminal(monkeypatch, columns)
    print_table(SESSION, [ROW, ROW])
    out = capsys.readouterr().out
    for value in ROW[:-1]:
        assert out.count(str(value)) >= 2, value
    longest = max(len(line) for line in out.splitlines())
    assert longest <= max(columns, len(f"    opened {ROW[1]}"))


def test_a_narrow_terminal_gets_paragraphs() -> None:
    lines = list(as_paragraph(["id", "a", "b", "c"], ["1" * 30, "x" * 8, "", "y\nz"], 40, Painter({}, False)))
    assert lines == ["1" * 30, "    a xxxxxxxx  c y\n    z"]


def test_cells_are_broken_where_that_suffices() -> None:
    assert fit(["id", "what"], [["7", "word " * 30]], 60) == [2, 53]
    assert fit(["id", "what"], [["7" * 50, "word " * 30]], 60) is None
    assert fit(["a", "b", "c"], [["x" * 10, "y" * 100, "z" * 100]], 80) == [10, 31, 31]
    assert fit(["what"], [["x" * 100]], 50) == [48]
    assert break_cell("one two three four", LEAST) == ["one two", "three four"]
    assert break_cell("x" * 30, LEAST) == ["x" * 12, "x" * 12, "x" * 6]
    assert break_cell("a\nb", LEAST) == ["a", "b"]
    assert break_cell("", LEAST) == [""]
    assert break_cell("x" * (4 << 20), 1000) == ["x" * 1000] * 4194 + ["x" * 304]
    assert all(measure(piece) <= 5 for piece in break_cell("日本語" * 9, 5))
    assert "".join(break_cell("日本語" * 9, 5)) == "日本語" * 9


def test_wide_characters_keep_columns_aligned(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("name", "n"), [("日本", 1), ("ab", 2)])
    one, two = [line for line in capsys.readouterr().out.splitlines() if line.endswith(("1", "2"))]
    assert measure(one) == measure(two)


def test_colour_is_for_terminals(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("state",), [("down",)], styles={"down": "bold red"})
    assert "\x1b" not in capsys.readouterr().out
    on_terminal(monkeypatch, 80)
    monkeypatch.delenv("NO_COLOR")
    print_table(("state",), [("down",)], styles={"down": "bold red"})
    assert "\x1b[1;31mdown" in capsys.readouterr().out


def test_many_rows_take_little_time(capsys: pytest.CaptureFixture[str]) -> None:
    began = time.process_time()
    print_table(("number", "name"), ((number, "name") for number in range(50_000)))
    assert time.process_time() - began < 5  # rich took 10 s
    assert len(capsys.readouterr().out.splitlines()) > 50_000
