"""Walks a parsed PostgreSQL statement: which objects it touches, and what its parts do at worst.

The tree is libpg_query's JSON. Unknown kinds of nodes count as writes, so a grammar newer than this table is safe.
"""

from importlib.resources import files
from typing import Any, Final

import orjson

from policy.model import ObjectAccess, Operation
from policy.postgres_settings import classify_setting

_READ, _WRITE, _DELETE, _DDL, _GRANT, _EXECUTE, _ADMIN = Operation

READ_ONLY_FUNCTIONS: Final[frozenset[str]] = frozenset(
    orjson.loads((files("policy") / "read_only_functions.json").read_bytes())["names"]
)
# Functions that reach the server's files, processes, network or configuration …
_ADMIN_FUNCTIONS: Final = frozenset(
    "pg_read_file pg_read_binary_file pg_stat_file pg_current_logfile lo_import lo_export pg_terminate_backend"
    " pg_cancel_backend pg_reload_conf pg_rotate_logfile pg_promote pg_switch_wal pg_create_restore_point"
    " pg_hba_file_rules pg_ident_file_mappings pg_show_all_file_settings pg_import_system_collations"
    " pg_file_write pg_file_rename pg_file_unlink pg_file_read pg_logdir_ls pg_file_sync"
    " pg_log_backend_memory_contexts pg_export_snapshot pg_extension_config_dump pg_nextoid"
    " pg_stop_making_pinned_objects postgres_fdw_get_connections".split()
)
_ADMIN_PREFIXES: Final = (
    "pg_ls_", "dblink", "pg_backup_", "pg_replication_", "pg_logical_", "pg_create_logical", "pg_create_physical",
    "pg_copy_logical", "pg_copy_physical", "pg_drop_replication", "pg_sync_replication", "pg_wal_replay_",
    "pg_stat_reset", "pg_restore_", "pg_clear_", "binary_upgrade_", "pg_start_backup", "pg_stop_backup",
    "http_", "pg_background_", "cron_",
)  # fmt: skip
# … and functions that run SQL given to them as text, or read tables by name.
_EXECUTING_FUNCTIONS: Final = frozenset(
    "query_to_xml query_to_xml_and_xmlschema query_to_xmlschema cursor_to_xml cursor_to_xmlschema ts_stat"
    " ts_rewrite table_to_xml table_to_xmlschema table_to_xml_and_xmlschema schema_to_xml schema_to_xmlschema"
    " schema_to_xml_and_xmlschema database_to_xml database_to_xmlschema database_to_xml_and_xmlschema crosstab"
    " connectby xpath_table plpgsql_inline_handler".split()
)
_SYSTEM_SCHEMAS: Final = frozenset({"pg_catalog", "information_schema"})
_DATA_CHANGES: Final = {
    "InsertStmt": _WRITE, "UpdateStmt": _WRITE, "DeleteStmt": _DELETE, "MergeStmt": _WRITE
}  # fmt: skip
# Kinds of nodes that a query is made of and that do nothing by themselves.
_INERT: Final = frozenset(
    "SelectStmt A_ArrayExpr A_Const A_Expr A_Indices A_Indirection A_Star Alias BitString BoolExpr Boolean"
    " BooleanTest CTECycleClause CTESearchClause CaseExpr CaseWhen CoalesceExpr CollateClause ColumnRef"
    " CommonTableExpr CurrentOfExpr DefElem Float FuncCall GroupingFunc GroupingSet IndexElem InferClause"
    " InsertStmt UpdateStmt DeleteStmt MergeStmt Integer IntoClause JoinExpr JsonAggConstructor JsonArgument"
    " JsonArrayAgg JsonArrayConstructor JsonArrayQueryConstructor JsonBehavior JsonFormat JsonFuncExpr"
    " JsonIsPredicate JsonKeyValue JsonObjectAgg JsonObjectConstructor JsonOutput JsonParseExpr JsonReturning"
    " JsonScalarExpr JsonSerializeExpr JsonTable JsonTableColumn JsonTablePathSpec JsonValueExpr List"
    " LockingClause MergeWhenClause MinMaxExpr MultiAssignRef NamedArgExpr NullTest OnConflictClause ParamRef"
    " RangeFunction RangeSubselect RangeTableFunc RangeTableFuncCol RangeTableSample RangeVar ResTarget"
    " ReturningClause ReturningOption RowExpr SQLValueFunction SetToDefault SortBy String SubLink TypeCast"
    " TypeName WindowDef WithClause XmlExpr XmlSerialize CopyStmt PrepareStmt DeclareCursorStmt FetchStmt"
    " ClosePortalStmt DeallocateStmt ListenStmt UnlistenStmt VariableShowStmt ConstraintsSetStmt".split()
)


class Walk:
    """Collects over one or more statements. `is_plan_only`: the statements are planned and not run."""

    def __init__(self, *, is_plan_only: bool = False) -> None:
        self.operation = _READ
        self.has_where = False
        self.lacks_where = False
        self._is_plan_only = is_plan_only
        self._objects: dict[str, Operation] = {}
        self._is_utility = False
        self._stack: list[tuple[Any, frozenset[str], Operation]] = []

    def objects(self) -> tuple[ObjectAccess, ...]:
        return tuple(ObjectAccess(name, access) for name, access in self._objects.items())

    def absorb(self, other: "Walk") -> None:
        self._raise(other.operation)
        for name, access in other._objects.items():
            self._touch(name, access)

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

    def _visit(self, node: dict[str, Any], scope: frozenset[str], access: Operation) -> None:
        for tag in node.keys() & _DATA_CHANGES.keys():
            self._change(tag, node[tag], scope)
        if "SelectStmt" in node:
            access = _READ
        for tag in node:
            if tag[0].isupper() and tag not in _INERT and not self._is_utility:
                self._raise(_WRITE)
        if "withClause" in node:
            scope = self._with(node["withClause"], scope)
        self._judge(node, scope, access)
        for key, child in node.items():
            if isinstance(child, dict | list) and key not in ("withClause", *_DATA_CHANGES):
                inner = _READ if key in ("query", "selectStmt", "fromClause", "larg", "rarg") else access
                self._stack.append((child, scope, inner))

    def _judge(self, node: dict[str, Any], scope: frozenset[str], access: Operation) -> None:
        """What one node does by itself."""
        if "relname" in node:
            self._relation(node, scope, access)
        if "funcname" in node:
            self._function(_words(node["funcname"]), node.get("args", []))
        if "lockingClause" in node:
            self._raise(_WRITE)
        if "intoClause" in node:
            self._raise(_DDL)
            self._relation(node["intoClause"].get("rel", {}), frozenset(), _DDL)
        if "A_Expr" in node:
            self._operator(_words(node["A_Expr"].get("name", [])))
        if "A_Indirection" in node:
            for name in _words(node["A_Indirection"].get("indirection", [])):
                self._function([name], None)
        if "ColumnRef" in node:
            self._column(_words(node["ColumnRef"].get("fields", [])))
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
        self._raise(operation)
        self._relation(body.get("relation", {}), frozenset(), operation)
        rest = {key: child for key, child in body.items() if key != "relation"}
        self._stack.append((rest, scope, _READ))

    def _relation(self, node: dict[str, Any], scope: frozenset[str], access: Operation) -> None:
        name = node.get("relname", "")
        schema = node.get("schemaname", "")
        if name and (schema or name not in scope):
            self._touch(f"{schema}.{name}" if schema else name, access)

    def _named_objects(self, objects: list[dict[str, Any]], access: Operation) -> None:
        """The lists of names in DROP and the like."""
        for item in objects if isinstance(objects, list) else []:
            if "List" in item:
                self._touch(".".join(_words(item["List"].get("items", []))), access)
            elif "ObjectWithArgs" in item:
                self._touch(".".join(_words(item["ObjectWithArgs"].get("objname", []))) + "()", access)
            elif "String" in item:
                self._touch(item["String"].get("sval", ""), access)

    def _function(self, words: list[str], arguments: list[dict[str, Any]] | None) -> None:
        """A call; `arguments` is None for the (value).function notation."""
        name = words[-1] if words else ""
        schema = words[-2] if len(words) > 1 else ""
        if schema in ("", *_SYSTEM_SCHEMAS) and name in READ_ONLY_FUNCTIONS:
            return
        operation = _danger_of(name)
        if name == "set_config":
            operation = _set_config(arguments or [])
        self._raise(operation)
        self._touch(".".join(words) + "()", _EXECUTE)

    def _operator(self, words: list[str]) -> None:
        if len(words) > 1 and words[0] not in _SYSTEM_SCHEMAS:
            self._raise(_WRITE)

    def _column(self, words: list[str]) -> None:
        """`x.f` may be a call of f on x: seen for the functions that matter most."""
        if len(words) > 1 and _danger_of(words[-1]) is not _WRITE:
            self._raise(_danger_of(words[-1]))
            self._touch(f"{words[-1]}()", _EXECUTE)

    def _raise(self, operation: Operation) -> None:
        if operation.rank > self.operation.rank:
            self.operation = operation

    def _touch(self, name: str, access: Operation) -> None:
        if name and (name not in self._objects or access.rank > self._objects[name].rank):
            self._objects[name] = access


def _words(parts: list[dict[str, Any]]) -> list[str]:
    return [part["String"].get("sval", "") for part in parts if "String" in part]


def _danger_of(name: str) -> Operation:
    if name in _ADMIN_FUNCTIONS or name.startswith(_ADMIN_PREFIXES):
        return _ADMIN
    return _EXECUTE if name in _EXECUTING_FUNCTIONS else _WRITE


def _set_config(arguments: list[dict[str, Any]]) -> Operation:
    """set_config('role', …) is SET ROLE; a computed name could be that."""
    texts = [argument.get("A_Const", {}).get("sval", {}).get("sval", "") for argument in arguments]
    if not texts or not texts[0]:
        return _ADMIN
    return max(classify_setting(texts[0], texts[1:2]), _WRITE, key=lambda operation: operation.rank)
