"""Walks a parsed PostgreSQL statement: which objects it touches, and what its parts do at worst.

The tree is libpg_query's JSON. Unknown kinds of nodes count as writes, so a grammar newer than this table is safe.
"""

from typing import Any, Final

from policy.model import ObjectAccess, Operation, worse
from policy.postgres_functions import (
    FILE_VIEWS,
    READ_ONLY_FUNCTIONS,
    SYSTEM_SCHEMAS,
    TEXT_RUNNERS,
    function_operation,
    known_danger,
    operator_operation,
)
from policy.postgres_settings import classify_setting

_READ, _WRITE, _DELETE, _DDL, _GRANT, _EXECUTE, _ADMIN = Operation

MAX_COLUMNS: Final = 200
_SAMPLERS: Final = frozenset({"system", "bernoulli", "system_rows", "system_time"})
_DATA_CHANGES: Final = {
    "InsertStmt": _WRITE, "UpdateStmt": _WRITE, "DeleteStmt": _DELETE, "MergeStmt": _WRITE
}  # fmt: skip
# Kinds of nodes that a query is made of and that do nothing by themselves.
_INERT: Final = frozenset(
    "SelectStmt ColumnDef A_ArrayExpr A_Const A_Expr A_Indices A_Indirection A_Star Alias BitString BoolExpr Boolean"
    " BooleanTest CTECycleClause CTESearchClause CaseExpr CaseWhen CoalesceExpr CollateClause ColumnRef"
    " CommonTableExpr CurrentOfExpr DefElem Float FuncCall GroupingFunc GroupingSet IndexElem InferClause"
    " InsertStmt UpdateStmt DeleteStmt MergeStmt Integer IntoClause JoinExpr JsonAggConstructor JsonArgument"
    " JsonArrayAgg JsonArrayConstructor JsonArrayQueryConstructor JsonBehavior JsonFormat JsonFuncExpr"
    " JsonIsPredicate JsonKeyValue JsonObjectAgg JsonObjectConstructor JsonOutput JsonParseExpr JsonReturning"
    " JsonScalarExpr JsonSerializeExpr JsonTable JsonTableColumn JsonTablePathSpec JsonValueExpr List"
    " LockingClause MergeWhenClause MinMaxExpr MultiAssignRef NamedArgExpr NullTest OnConflictClause ParamRef"
    " RangeFunction RangeSubselect RangeTableFunc RangeTableFuncCol RangeTableSample RangeVar ResTarget"
    " ReturningClause ReturningOption MergeSupportFunc RowExpr SQLValueFunction SetToDefault SortBy String"
    " SubLink TypeCast"
    " TypeName WindowDef WithClause XmlExpr XmlSerialize CopyStmt PrepareStmt DeclareCursorStmt FetchStmt"
    " ClosePortalStmt DeallocateStmt ListenStmt UnlistenStmt"
    " VariableShowStmt ConstraintsSetStmt DiscardStmt".split()
)


class Walk:
    """Collects over one or more statements. `is_plan_only`: the statements are planned and not run."""

    def __init__(self, *, is_plan_only: bool = False) -> None:
        self.operation = _READ
        self.has_where = False
        self.lacks_where = False
        self.texts: list[list[str] | None] = []  # given to what runs SQL; None: computed, so it could be any
        self._is_plan_only = is_plan_only
        self._objects: dict[str, Operation] = {}
        self._columns: dict[str, None] = {}
        self._is_utility = False
        self._stack: list[tuple[Any, frozenset[str], Operation]] = []

    def objects(self) -> tuple[ObjectAccess, ...]:
        return tuple(ObjectAccess(name, access) for name, access in self._objects.items())

    def columns(self) -> tuple[str, ...]:
        return tuple(self._columns)

    def absorb(self, other: "Walk") -> None:
        self.raise_to(other.operation)
        for name, access in other._objects.items():
            self.touch(name, access)

    def walk(self, tree: dict[str, Any], access: Operation) -> None:
        """Go through a statement whose own relations are accessed as `access`. Iterative: depth is no limit."""
        self._is_utility = access.rank >= _DDL.rank
        self._stack.append((tree, frozenset(), access))
        while self._stack:
            node, scope, access = self._stack.pop()
            if isinstance(node, list):
                self._stack.extend((item, scope, access) for item in node)
            elif isinstance(node, dict):
                self._visit(node, scope, access)

    def raise_to(self, operation: Operation) -> None:
        self.operation = worse(self.operation, operation)

    def touch(self, name: str, access: Operation) -> None:
        if name and (name not in self._objects or access.rank > self._objects[name].rank):
            self._objects[name] = access

    def _visit(self, node: dict[str, Any], scope: frozenset[str], access: Operation) -> None:
        for tag in node.keys() & _DATA_CHANGES.keys():
            self._change(tag, node[tag], scope)
        if "SelectStmt" in node:
            access = _READ
        for tag in node:
            if tag[0].isupper() and tag not in _INERT:
                self._judge_kind(tag)
        if "withClause" in node:
            scope = self._with(node["withClause"], scope)
        self._judge(node, scope, access)
        for key, child in node.items():
            if isinstance(child, dict | list) and key not in ("withClause", *_DATA_CHANGES):
                inner = _READ if key in ("query", "selectStmt", "fromClause", "larg", "rarg") else access
                self._stack.append((child, scope, inner))

    def _judge_kind(self, tag: str) -> None:
        """A kind of node that is no part of a plain query."""
        if not self._is_utility:
            self.raise_to(_WRITE)
        elif tag in ("GrantStmt", "GrantRoleStmt"):  # CREATE SCHEMA holds whole statements
            self.raise_to(_GRANT)

    def _judge(self, node: dict[str, Any], scope: frozenset[str], access: Operation) -> None:
        """What one node does by itself."""
        if "relname" in node:
            self._relation(node, scope, access)
        if "FuncCall" in node:
            self._function(_words(node["FuncCall"].get("funcname", [])), node["FuncCall"].get("args", []))
        if "lockingClause" in node:
            self.raise_to(_READ if self._is_plan_only else _WRITE)
        if "intoClause" in node and not self._is_plan_only:
            self.raise_to(_DDL)
            self._relation(node["intoClause"].get("rel", {}), frozenset(), _DDL)
        if "A_Expr" in node:
            self.raise_to(operator_operation(_words(node["A_Expr"].get("name", []))))
        if "A_Indirection" in node:
            self._indirection(node["A_Indirection"])
        if "ColumnRef" in node:
            self._column(_words(node["ColumnRef"].get("fields", [])))
        if "RangeTableSample" in node:
            method = _words(node["RangeTableSample"].get("method", []))
            self.raise_to(_READ if method and method[-1] in _SAMPLERS else _EXECUTE)
        if "whereClause" in node:
            self.has_where = True
        if "objects" in node:
            self._named_objects(node["objects"], access)

    def _with(self, clause: dict[str, Any], scope: frozenset[str]) -> frozenset[str]:
        """Queue the common table expressions, each seeing the names it may see; the scope after them."""
        tables = [table.get("CommonTableExpr", {}) for table in clause.get("ctes", [])]
        if clause.get("recursive"):
            scope = scope | {table.get("ctename", "") for table in tables}
        for table in tables:
            self._stack.append((table.get("ctequery", {}), scope, _READ))
            scope = scope | {table.get("ctename", "")}
            if table.keys() & {"search_clause", "cycle_clause"}:
                self._stack.append(([table.get("cycle_clause", {})], scope, _READ))
        return scope

    def _change(self, tag: str, body: dict[str, Any], scope: frozenset[str]) -> None:
        """INSERT, UPDATE, DELETE, MERGE, wherever they stand."""
        operation = _DATA_CHANGES[tag]
        clauses = body.get("mergeWhenClauses", [])
        if any(clause.get("MergeWhenClause", {}).get("commandType") == "CMD_DELETE" for clause in clauses):
            operation = _DELETE
        if tag in ("UpdateStmt", "DeleteStmt") and "whereClause" not in body:
            self.lacks_where = True
        if self._is_plan_only:
            operation = _READ
        relation = body.get("relation", {})
        if operation is not _READ and _is_of_the_system(relation):
            operation = _ADMIN  # pg_authid, pg_settings: a row of them is a right or a setting
        self.raise_to(operation)
        self._relation(relation, frozenset(), operation)
        rest = {key: child for key, child in body.items() if key != "relation"}
        self._stack.append((rest, scope, _READ))

    def _relation(self, node: dict[str, Any], scope: frozenset[str], access: Operation) -> None:
        name = node.get("relname", "")
        schema = node.get("schemaname", "")
        if name in FILE_VIEWS and schema in ("", *SYSTEM_SCHEMAS):
            self.raise_to(_EXECUTE)
        if name and (schema or name not in scope):
            self.touch(f"{schema}.{name}" if schema else name, access)

    def _named_objects(self, objects: list[dict[str, Any]], access: Operation) -> None:
        """The lists of names in DROP and the like."""
        for item in objects if isinstance(objects, list) else []:
            if "List" in item:
                self.touch(".".join(_words(item["List"].get("items", []))), access)
            elif "ObjectWithArgs" in item:
                self.touch(".".join(_words(item["ObjectWithArgs"].get("objname", []))) + "()", access)
            elif "String" in item:
                self.touch(item["String"].get("sval", ""), access)

    def _function(self, words: list[str], arguments: list[dict[str, Any]]) -> None:
        """A call in the usual notation."""
        name = words[-1] if words else ""
        operation = function_operation(name, words[-2] if len(words) > 1 else "")
        if name == "ts_rewrite" and len(arguments) == 3:
            operation = _READ  # the form without a query
        if operation is _READ:
            return
        if name == "set_config":
            operation = _set_config(arguments)
        if name in TEXT_RUNNERS:
            self.texts.append(_texts_of(arguments))
        self.raise_to(operation)
        self.touch(".".join(words) + "()", _EXECUTE)

    def _indirection(self, node: dict[str, Any]) -> None:
        """`(x).f` is a field of x or f(x). Of a plain value it can only be a call."""
        argument = node.get("arg", {})
        is_plain = "A_Const" in argument or ("TypeCast" in argument and _is_scalar(argument["TypeCast"]))
        for name in _words(node.get("indirection", [])):
            danger = known_danger(name)
            if danger is _READ and is_plain and name not in READ_ONLY_FUNCTIONS:
                danger = _EXECUTE
            if danger is not _READ:
                self.raise_to(danger)
                self.touch(f"{name}()", _EXECUTE)

    def _column(self, words: list[str]) -> None:
        """`x.f` may be a call of f on x: seen for the functions that matter most."""
        if words and len(self._columns) < MAX_COLUMNS:
            self._columns[words[-1]] = None
        if len(words) > 1 and known_danger(words[-1]) is not _READ:
            self.raise_to(known_danger(words[-1]))
            self.touch(f"{words[-1]}()", _EXECUTE)


def _words(parts: list[dict[str, Any]]) -> list[str]:
    return [part["String"].get("sval", "") for part in parts if "String" in part]


def _is_of_the_system(relation: dict[str, Any]) -> bool:
    schema = relation.get("schemaname", "")
    return schema in SYSTEM_SCHEMAS or (not schema and relation.get("relname", "").startswith("pg_"))


def _is_scalar(cast: dict[str, Any]) -> bool:
    """Whether a value was cast to a type that has no fields, as far as its name tells."""
    words = _words(cast.get("typeName", {}).get("names", []))
    return bool(words) and (words[0] == "pg_catalog" or words[-1] in _SCALARS)


_SCALARS: Final = frozenset(
    "text bytea name json jsonb uuid oid date inet cidr money xml regclass regproc int8".split()
)


def _constant(argument: dict[str, Any]) -> str | None:
    """The text of a constant, casts apart; None for anything computed."""
    while "TypeCast" in argument:
        argument = argument["TypeCast"].get("arg", {})
    value = argument.get("A_Const", {}).get("sval")
    return None if value is None else str(value.get("sval", ""))


def _texts_of(arguments: list[dict[str, Any]]) -> list[str] | None:
    """The texts in a call of what runs SQL, of which one is that SQL; None when any could be computed."""
    texts = [_constant(each) for each in arguments if "A_Const" not in each or "sval" in each["A_Const"]]
    return None if not texts or None in texts else [text for text in texts if text]


def _set_config(arguments: list[dict[str, Any]]) -> Operation:
    """set_config('role', …) is SET ROLE; a computed name could be that."""
    texts = [_constant(argument) for argument in arguments]
    if not texts or not texts[0]:
        return _ADMIN
    return worse(classify_setting(texts[0], [text or "" for text in texts[1:2]]), _WRITE)
