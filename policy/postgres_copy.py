"""What a COPY statement says of the form in which its rows come, from the server's own grammar."""

from dataclasses import dataclass
from typing import Any, Final

import orjson
from pglast import Error, parser

from policy.postgres_sources import output_names

MAX_PARSED_CHARS: Final = 256 * 1024
_OFF: Final = frozenset({"off", "false", "0"})


@dataclass(slots=True, frozen=True)
class CopyForm:
    """One COPY ... TO STDOUT. `columns`: named in the statement, or those of its query; empty when it names none."""

    format: str = "text"
    columns: tuple[str, ...] = ()
    has_header: bool = False
    delimiter: str = ""
    null: str | None = None
    quote: str = '"'
    escape: str = ""


def copy_forms(statement: str) -> list[CopyForm] | None:
    """Every COPY to the client in a statement, in order; None when it is not understood."""
    if len(statement) > MAX_PARSED_CHARS or "\0" in statement:
        return None
    try:
        trees = orjson.loads(parser.parse_sql_json(statement)).get("stmts", [])
    except (Error, ValueError, RecursionError):
        return None
    copies = [tree["stmt"]["CopyStmt"] for tree in trees if "CopyStmt" in tree.get("stmt", {})]
    return [_form(copy) for copy in copies if not copy.get("is_from") and not copy.get("filename")]


def _form(copy: dict[str, Any]) -> CopyForm:
    options = {item["DefElem"]["defname"]: item["DefElem"].get("arg") for item in copy.get("options", ())}
    form = _text(options.get("format")).lower() or "text"
    header = options.get("header", False)
    return CopyForm(
        format=form,
        columns=tuple(_text(item) for item in copy.get("attlist", ())) or output_names(copy.get("query", {})),
        has_header=header is None or (header is not False and _text(header).lower() not in _OFF),
        delimiter=_text(options.get("delimiter")) or ("," if form == "csv" else "\t"),
        null=_text(options["null"]) if "null" in options else None,
        quote=_text(options.get("quote")) or '"',
        escape=_text(options.get("escape")),
    )


def _text(node: Any) -> str:
    """The value of a constant, however the grammar wraps it."""
    if not isinstance(node, dict):
        return ""
    ((kind, value),) = node.items()
    if kind == "String":
        return str(value.get("sval", ""))
    if kind == "Boolean":
        return "true" if value.get("boolval") else "false"
    return str(value.get("ival", 0)) if kind == "Integer" else ""
