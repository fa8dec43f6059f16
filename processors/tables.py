"""Result rows of many events, masked by one scan over the values of all of them. Pure.

Compiled where a C compiler is at hand (deploy/native.py).
"""

from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

import orjson

from masking import names
from masking.model import Finding, MaskedText
from masking.names import NamedLabel

_KEYS: Final = frozenset({"columns", "rows", "sources"})

MaskNames = Callable[[list[str]], list[MaskedText | None]]
"""What masking makes of names of columns, which an agent chooses; None: nothing."""


class BatchMasker(Protocol):
    """What this needs of `masking.engine.Masker`."""

    def mask_batch(
        self,
        texts: Sequence[str],
        places: Sequence[str] | None = None,
        named: Sequence[NamedLabel | None] | None = None,
    ) -> list[MaskedText | None]: ...


class Table:
    """A `rows` payload: values as text, masked in place by `mask_tables`.

    `told` are the columns' names as masking takes them: a column that is another under an alias has that one's;
    `shown` is what masking makes of the columns' own. `findings` have their column for a place. `is_suspect`: something
    was found, or a name says that there is something.
    """

    def __init__(self, columns: list[str], rows: list[list[str | None]], told: list[str]) -> None:
        self.columns = columns
        self.shown = columns
        self.rows = rows
        self.told = told
        self.findings: list[Finding] = []
        self.is_suspect = False

    def as_text(self) -> str:
        """The payload that holds this table."""
        return orjson.dumps({"columns": self.shown, "rows": self.rows}).decode()


def mask_tables(contents: Sequence[bytes], masker: BatchMasker, mask_names: MaskNames) -> list[Table | None]:
    """Each payload's table, masked; None for what is anything else."""
    tables = [read_table(content) for content in contents]
    texts: list[str] = []
    named: list[NamedLabel | None] = []
    is_named = False
    for table in tables:
        if table is None:
            continue
        _mask_columns(table, mask_names)
        labels = [names.label_of(name) for name in table.told]
        if any(labels):
            is_named = table.is_suspect = True
        _collect_values(table, labels, texts, named)
    outcomes = masker.mask_batch(texts, None, named if is_named else None)
    position = 0
    for table in tables:
        if table is not None:
            position = _put_values(table, outcomes, position)
    return tables


def read_table(content: bytes) -> Table | None:
    """The table of a `rows` payload as it is. None when it is anything else."""
    try:
        table: Any = orjson.loads(content)
    except ValueError:
        return None
    if not isinstance(table, dict) or not table.keys() <= _KEYS:
        return None
    columns, rows, sources = table.get("columns"), table.get("rows"), table.get("sources", [])
    if not isinstance(columns, list) or not isinstance(rows, list) or not isinstance(sources, list):
        return None
    if not _are_texts(columns) or not _are_texts(sources) or len(sources) not in (0, len(columns)):
        return None
    cells: list[list[str | None]] = []
    for row in rows:
        if not isinstance(row, list):
            return None
        cells.append(_cells_of(row))
    told = [source or column for source, column in zip(sources, columns, strict=True)] if sources else columns
    return Table(columns, cells, told)


def _are_texts(values: list[Any]) -> bool:
    for value in values:
        if not isinstance(value, str):
            return False
    return True


def _cells_of(row: list[Any]) -> list[str | None]:
    for value in row:
        if value is not None and not isinstance(value, str):
            return [_cell(each) for each in row]
    return row


def _cell(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return orjson.dumps(value).decode()


def _mask_columns(table: Table, mask_names: MaskNames) -> None:
    shown: list[str] = []
    for name, outcome in zip(table.columns, mask_names(table.columns), strict=True):
        if outcome is None:
            shown.append(name)
            continue
        table.is_suspect = True
        shown.append(outcome.text)
        for found in outcome.findings:
            place = f"columns:{found.place}" if found.place else "columns"
            table.findings.append(Finding(found.label, found.token, found.start, found.end, place, found.layers))
    table.shown = shown


def _collect_values(
    table: Table, labels: list[NamedLabel | None], texts: list[str], named: list[NamedLabel | None]
) -> None:
    width = len(labels)
    for row in table.rows:
        for index, value in enumerate(row):
            if value:
                texts.append(value)
                named.append(labels[index] if index < width else None)


def _put_values(table: Table, outcomes: list[MaskedText | None], position: int) -> int:
    """Put the outcomes from `position` on into the table; the position of the next table's."""
    for row in table.rows:
        for index, value in enumerate(row):
            if not value:
                continue
            outcome = outcomes[position]
            position += 1
            if outcome is not None and outcome.findings:
                table.is_suspect = True
                row[index] = outcome.text
                place = table.columns[index] if index < len(table.columns) else f"column {index + 1}"
                for found in outcome.findings:
                    table.findings.append(
                        Finding(found.label, found.token, found.start, found.end, place, found.layers)
                    )
    return position
