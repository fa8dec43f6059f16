"""Writes the figures of bench/results.json into docs/benchmarks.md, between two markers.

`make bench` runs every file of this folder in the order of the names; what measures must sort before this one.
"""

import re
import sys
from collections.abc import Iterable, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from bench.results import load

PAGE: Final = Path(__file__).parents[1] / "docs" / "benchmarks.md"
BEGIN: Final = "<!-- figures: written by bench/table.py -->"
END: Final = "<!-- end of figures -->"

Entry = Mapping[str, Any]


def make_tables(entries: Iterable[Entry]) -> str:
    """One Markdown table a benchmark (the first word of its names), in the order of parts and numbers."""
    ordered = sorted(entries, key=lambda entry: _natural(entry["name"]))
    groups = groupby(ordered, key=lambda entry: entry["name"].partition(".")[0])
    tables = [_table(name, list(group)) for name, group in groups]
    return "\n\n".join(tables) if tables else "No figures yet: run `make bench`."


def put_in(page: str, tables: str) -> str:
    """The page with what stands between the markers replaced. Raises ValueError without exactly one pair."""
    if page.count(BEGIN) != 1 or page.count(END) != 1 or page.index(BEGIN) > page.index(END):
        raise ValueError("the page needs the two markers once each, in order")
    head, rest = page.split(BEGIN)
    return f"{head}{BEGIN}\n\n{tables}\n\n{END}{rest.split(END)[1]}"


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"[.]", name)]


def _table(name: str, entries: list[Entry]) -> str:
    lines = [f"### {name}", "", "| entry | value | unit | ratio | against |", "|---|---:|---|---:|---|"]
    for entry in entries:
        ratio = "" if entry.get("ratio") is None else f"{entry['ratio']:.2f}"
        peer = entry.get("peer", "")
        cells = (f"`{entry['name']}`", _number(entry["value"]), entry["unit"], ratio, f"`{peer}`" if peer else "")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2f}"


def main() -> int:
    """Exit code 2 when the page has lost its markers."""
    try:
        text = put_in(PAGE.read_text("utf-8"), make_tables(load()))
    except ValueError as error:
        print(f"{PAGE.name}: {error}", file=sys.stderr)
        return 2
    PAGE.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
