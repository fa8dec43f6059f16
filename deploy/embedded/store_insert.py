"""INSERT statements of clients: the head is parsed here by a small grammar of its own and written anew. Pure.

The head never reaches the engine as the client wrote it, so nothing can hide in it (FROM INFILE, SETTINGS, FUNCTION,
SELECT, a second statement); the data goes to the engine as a file of the store, in the format the head names.
"""

import re
from dataclasses import dataclass
from typing import Final

from deploy.embedded.store_ast import quote_literal
from deploy.embedded.store_errors import QueryRefused
from deploy.embedded.store_roles import DATABASE, GRANTS, Role

MAX_HEAD_BYTES: Final = 64 << 10
# Not Values: its reader evaluates expressions, and takes whatever follows a semicolon without a word.
FORMATS: Final = frozenset(
    {
        "Native", "RowBinary", "RowBinaryWithNames", "RowBinaryWithNamesAndTypes", "Arrow", "ArrowStream",
        "Parquet", "JSONEachRow", "JSONCompactEachRow", "CSV", "CSVWithNames", "TSV", "TabSeparated",
        "TSVWithNames", "TabSeparatedWithNames",
    }
)  # fmt: skip
INSERT_SETTINGS: Final = frozenset({"insert_deduplication_token", "insert_deduplicate"})

_COMMENTS: Final = rb"(?:\s|--[^\n]*\n|/\*(?:[^*]|\*(?!/))*\*/)*"
_IDENT: Final = rb"(?:[A-Za-z_]\w*|`[A-Za-z_][\w.]*`|\"[A-Za-z_][\w.]*\")"
_HEAD: Final = re.compile(
    _COMMENTS
    + rb"INSERT\s+INTO\s+(?:TABLE\s+(?=\S))?(?:(?P<database>"
    + _IDENT
    + rb")\s*\.\s*)?(?P<table>"
    + _IDENT
    + rb")\s*(?:\(\s*(?P<columns>"
    + _IDENT
    + rb"(?:\s*,\s*"
    + _IDENT
    + rb")*)\s*\))?\s*(?:FORMAT\s+(?P<format>\w+)(?:[ \t]*(?:\r?\n|$)|[ \t]+))",
    re.IGNORECASE,
)
_STARTS: Final = re.compile(_COMMENTS + rb"INSERT\b", re.IGNORECASE)
_TOKEN: Final = re.compile(r"[\w.:/+=,-]{1,512}", re.ASCII)


@dataclass(frozen=True, slots=True)
class InsertHead:
    """What an INSERT says before its data."""

    table: str
    columns: tuple[str, ...]
    format: str
    length: int  # bytes of the head in the text it was read from

    def statement(self, path: str, settings: dict[str, str]) -> str:
        """The statement for the engine, reading the data from `path`."""
        columns = f" ({', '.join(f'`{name}`' for name in self.columns)})" if self.columns else ""
        clause = ", ".join(f"{name} = {quote_literal(value)}" for name, value in sorted(settings.items()))
        return (
            f"INSERT INTO {DATABASE}.`{self.table}`{columns} FROM INFILE {quote_literal(path)} COMPRESSION 'none'"
            f"{' SETTINGS ' + clause if clause else ''} FORMAT {self.format}"
        )


def is_insert(text: bytes) -> bool:
    """Whether the text begins an INSERT."""
    return _STARTS.match(text[:MAX_HEAD_BYTES]) is not None


def parse_head(text: bytes) -> InsertHead:
    """The head at the start of `text` (its first MAX_HEAD_BYTES). Raises QueryRefused."""
    match = _HEAD.match(text[:MAX_HEAD_BYTES])
    if match is None:
        raise QueryRefused("an INSERT must read: INSERT INTO custody.table (columns) FORMAT name, then its data")
    database = _plain(match["database"] or DATABASE.encode())
    if database != DATABASE:
        raise QueryRefused(f"there is no INSERT into {database}")
    name = match["format"].decode()
    if name not in FORMATS:
        raise QueryRefused(f"format {name} is not available for INSERT")
    columns = tuple(_plain(column) for column in (match["columns"] or b"").split(b",") if column)
    return InsertHead(_plain(match["table"]), columns, name, match.end())


def check_inserter(role: Role) -> None:
    """Raises QueryRefused unless the role may append to any table, before anybody is told how an INSERT is written."""
    if not GRANTS[role].inserts:
        raise QueryRefused(f"{role} may not insert")


def check_insert(role: Role, head: InsertHead) -> None:
    """Raises QueryRefused unless the role may append to the table."""
    if head.table not in GRANTS[role].inserts:
        raise QueryRefused(f"{role} may not insert into {head.table}")


def pick_settings(params: dict[str, str]) -> dict[str, str]:
    """The settings of a request that an INSERT keeps. Raises QueryRefused on a value that is no plain token."""
    chosen = {name: params[name] for name in INSERT_SETTINGS if params.get(name)}
    for name, value in chosen.items():
        if not _TOKEN.fullmatch(value):
            raise QueryRefused(f"unusual value of {name}")
    return chosen


def _plain(name: bytes) -> str:
    return name.strip().strip(b'`"').decode()
