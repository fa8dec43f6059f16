"""Which columns the columns of a PostgreSQL result are made of, by the select lists of the statement: `ssn AS x`,
`upper(ssn)`, and through subqueries, WITH, RETURNING, UNION and cursors. Names only: what a view or function does
inside the server is not known here."""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple

import orjson
from pglast import Error, parser

MAX_PARSED_CHARS: Final = 64 * 1024
MAX_NODES: Final = 20_000
UNKNOWN: Final = "?"
"""A source that the statement does not name: a renamed column of a table, a whole row."""

Sources = Mapping[str, frozenset[str]]
_Node = dict[str, Any]
_HARMLESS: Final = frozenset({"count", "exists", "pg_typeof", "pg_column_size"})
"""Functions whose results say nothing of their arguments' values."""

_TESTS: Final = frozenset({"NullTest", "BooleanTest"})
_UNNAMED: Final = {
    "CoalesceExpr": "coalesce", "CaseExpr": "case", "RowExpr": "row", "A_ArrayExpr": "array", "XmlExpr": "xmlelement",
}  # fmt: skip
_NAMELESS: Final = "?column?"


class Origins(NamedTuple):
    """Name of a result's column -> the columns that its values come from, other than one of that very name. `plain`:
    those whose values they are as they stand, or cast."""

    sources: Sources
    plain: Sources


NONE: Final = Origins({}, {})


@lru_cache(maxsize=512)
def column_origins(statement: str) -> Origins | None:
    """What the statement says of its results. None: it is not understood, or too long."""
    if len(statement) > MAX_PARSED_CHARS or "\0" in statement:
        return None
    try:
        tree = orjson.loads(parser.parse_sql_json(statement))
        found = _Finder()
        found.walk(tree)
    except (Error, ValueError, RecursionError):
        return None
    return Origins(_closed(found.sources), _closed(found.plain)) if found.sources else NONE


def _closed(direct: dict[str, set[str]]) -> Sources:
    """With the sources of sources: an alias of an alias is one of the column."""
    closed: dict[str, frozenset[str]] = {}
    for name in direct:
        seen = {name}
        open_ = [name]
        while open_:
            for source in direct.get(open_.pop(), ()):
                if source not in seen:
                    seen.add(source)
                    open_.append(source)
        if rest := seen - {name}:
            closed[name] = frozenset(rest)
    return closed


class _Finder:
    """Collects what each name stands for, wherever in the statement it is given."""

    def __init__(self) -> None:
        self.sources: dict[str, set[str]] = {}
        self.plain: dict[str, set[str]] = {}
        self._relations: set[str] = set()

    def walk(self, tree: Any) -> None:
        """Every node. Raises ValueError when there are too many."""
        lists: list[list[_Node]] = []
        open_: list[Any] = [tree]
        count = 0
        while open_:
            node = open_.pop()
            count += 1
            if count > MAX_NODES:
                raise ValueError("too many nodes")
            if isinstance(node, list):
                open_ += node
            elif isinstance(node, dict):
                self._look(node, lists)
                open_ += node.values()
        for items in lists:
            for item in items:
                if (target := item.get("ResTarget")) is not None:
                    self._add_target(target)

    def _look(self, node: _Node, lists: list[list[_Node]]) -> None:
        if "targetList" in node and "relation" not in node:  # of UPDATE it says what is written
            lists.append(node["targetList"])
        if "exprs" in node or "returningList" in node:
            lists.append(node.get("exprs") or node["returningList"])
        if node.get("op", "SETOP_NONE") != "SETOP_NONE" and "larg" in node and "rarg" in node:
            self._add_pairs(_outputs(node["larg"]), node["rarg"])
        if (query := node.get("RangeSubselect")) is not None:
            self._add_renamed(query.get("alias", {}).get("colnames", ()), query.get("subquery", {}))
        elif (common := node.get("CommonTableExpr")) is not None:
            self._add_renamed(common.get("aliascolnames", ()), common.get("ctequery", {}))
        elif (table := node.get("RangeVar") or node.get("JoinExpr")) is not None:
            alias = table.get("alias", {})
            self._relations.add(alias.get("aliasname") or table.get("relname", ""))
            for name in _strings(alias.get("colnames", ())):
                self._add(name, {UNKNOWN})
        elif (function := node.get("RangeFunction")) is not None:
            self._add_function(function)

    def _add(self, name: str, sources: set[str]) -> None:
        if sources:
            self.sources.setdefault(name, set()).update(sources)

    def _add_target(self, target: _Node) -> None:
        value = target.get("val", {})
        for name in [target["name"]] if "name" in target else _own_names(value):
            sources = set(_columns_in(value)) - {name}
            if (row := _plain_name(value)) in self._relations and row != name:
                sources = {UNKNOWN}
            elif row in self._relations and "name" not in target:
                sources = {UNKNOWN}
            self._add(name, sources)
            if row and row != name:
                self.plain.setdefault(name, set()).add(row)

    def _add_renamed(self, names: Any, query: _Node) -> None:
        if renamed := _strings(names):
            self._add_pairs([[name] for name in renamed], query.get("SelectStmt", {}))

    def _add_pairs(self, names: list[list[str]], query: _Node) -> None:
        """Names given to the outputs of a query, by their position; all to each where a star hides the positions."""
        outputs = list(_target_values(query))
        has_star = any(_is_star(value) for value in outputs) or not outputs
        for position, own in enumerate(names):
            if has_star:
                sources = {UNKNOWN}.union(*map(_columns_in, outputs))
            else:
                sources = set(_columns_in(outputs[position])) if position < len(outputs) else set()
            plain = _plain_name(outputs[position]) if not has_star and position < len(outputs) else ""
            for name in own:
                if plain and plain != name:
                    self.plain.setdefault(name, set()).add(plain)
                self._add(name, sources - {name})

    def _add_function(self, function: _Node) -> None:
        alias = function.get("alias", {})
        sources = set(_columns_in(function.get("functions", [])))
        for name in [
            *_strings(alias.get("colnames", ())),
            *_strings([{"String": {"sval": alias.get("aliasname", "")}}]),
        ]:
            self._add(name, sources - {name})


def output_names(query: _Node) -> tuple[str, ...]:
    """The names of a query's columns as far as its form tells them ("" where not); empty when a star hides them."""
    select = query.get("SelectStmt", {})
    if any(_is_star(value) for value in _target_values(select)):
        return ()
    return tuple(own[0] if len(own) == 1 else "" for own in _outputs(select))


def _target_values(query: _Node) -> Iterator[_Node]:
    """What a query puts out, of its first part when it is made of several."""
    while "larg" in query and "targetList" not in query:
        query = query["larg"]
    for item in query.get("targetList", ()):
        if "ResTarget" in item:
            yield item["ResTarget"].get("val", {})


def _outputs(query: _Node) -> list[list[str]]:
    """The names of a query's outputs, each as far as it is known."""
    while "larg" in query and "targetList" not in query:
        query = query["larg"]
    targets = [item.get("ResTarget", {}) for item in query.get("targetList", ())]
    return [[each["name"]] if "name" in each else list(_own_names(each.get("val", {}))) for each in targets]


def _strings(nodes: Any) -> list[str]:
    return [node["String"].get("sval", "") for node in nodes if "String" in node]


def _is_star(value: _Node) -> bool:
    return any("A_Star" in field for field in value.get("ColumnRef", {}).get("fields", ()))


def _plain_name(value: _Node) -> str:
    """The column's name, when the value is nothing but a column."""
    while "TypeCast" in value:
        value = value["TypeCast"].get("arg", {})
    names = _strings(value.get("ColumnRef", {}).get("fields", ()))
    return names[-1] if names and not _is_star(value) else ""


def _own_names(value: _Node) -> Iterator[str]:
    """What the server calls a column without an alias; several where that depends on more than the form."""
    if name := _plain_name(value):
        yield name
        return
    ((kind, body),) = value.items() if len(value) == 1 else (("", {}),)
    if kind == "FuncCall":
        yield from _strings(body.get("funcname", ()))[-1:]
    elif kind == "TypeCast":
        yield from _strings(body.get("typeName", {}).get("names", ()))[-1:]
        yield from _own_names(body.get("arg", {}))
    elif kind == "MinMaxExpr":
        yield from ("greatest", "least")
    elif kind == "CollateClause" or kind == "A_Indirection":
        yield from _own_names(body.get("arg", {}))
        yield from _strings(body.get("indirection", ()))[-1:]
    elif kind == "SubLink":
        yield from (name for own in _outputs(body.get("subselect", {}).get("SelectStmt", {})) for name in own)
        yield "array"
    elif kind == "CaseExpr":
        yield "case"
        yield from _own_names(body.get("defresult", {}))
    elif kind in _UNNAMED:
        yield _UNNAMED[kind]
    elif value and not _is_star(value):
        yield _NAMELESS


def _columns_in(tree: Any) -> set[str]:
    """The names of all columns that a value is made of."""
    found: set[str] = set()
    open_: list[Any] = [tree]
    while open_:
        node = open_.pop()
        if isinstance(node, list):
            open_ += node
        elif isinstance(node, dict):
            if (column := node.get("ColumnRef")) is not None:
                found.update(_strings(column.get("fields", ()))[-1:])
                continue
            function = _strings(node.get("FuncCall", {}).get("funcname", ()))[-1:]
            if function and function[0] in _HARMLESS:
                continue
            open_ += [body for kind, body in node.items() if kind not in _TESTS]
    return found
