"""Statements with the class they must get: `[operation]` heads a section, `⏎` stands for a line break."""

from collections.abc import Iterator
from pathlib import Path


def load_table(dialect: str) -> Iterator[tuple[str, str]]:
    """(expected operation, statement) for each line; expected is `unknown` for what cannot be understood."""
    expected = ""
    for line in (Path(__file__).parent / f"{dialect}.txt").read_text("utf-8").splitlines():
        if line.startswith("[") and line.endswith("]") and line[1:-1].isalpha():
            expected = line[1:-1]
        elif line:
            yield expected, line.replace("⏎", "\n")
