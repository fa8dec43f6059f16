"""Decides whether a role may run a statement. Pure; default deny: what is not known here is refused.

Works on the engine's own parse (store_ast). The tree alone is not enough, because it leaves things out: what APPLY
calls, the WHERE of SHOW COLUMNS, OR REPLACE, DETACH. So node kinds that hide things are refused, and the statements
whose trees are terse must also match the shape of their formatted text.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from deploy.embedded.store_ast import Node, Parsed, check_clauses
from deploy.embedded.store_errors import QueryRefused
from deploy.embedded.store_roles import (
    COLUMN_WORDS,
    DATABASE,
    ENGINES,
    GRANTS,
    SYSTEM_TABLES,
    TABLE_FUNCTIONS,
    Grants,
    Role,
    is_allowed_function,
)

READ_KINDS: Final = frozenset(
    {
        "SelectWithUnionQuery", "SelectIntersectExceptQuery", "SelectQuery", "ExpressionList", "Identifier",
        "Literal", "Function", "Asterisk", "QualifiedAsterisk", "ColumnsTransformerList",
        "ColumnsExceptTransformer", "ColumnsRegexpMatcher", "ColumnsListMatcher", "QualifiedColumnsRegexpMatcher",
        "QualifiedColumnsListMatcher", "TablesInSelectQuery", "TablesInSelectQueryElement", "TableExpression",
        "TableIdentifier", "TableJoin", "ArrayJoin", "Subquery", "SampleRatio", "WithElement", "OrderByElement",
        "WindowDefinition", "WindowListElement", "InterpolateElement", "CollationNode", "Collation",
        "ColumnsReplaceTransformer", "ColumnsReplaceTransformer::Replacement", "StorageOrderByElement", "Default",
    }
)  # fmt: skip
DEFINE_KINDS: Final = READ_KINDS | {
    "CreateQuery", "AlterQuery", "AlterCommand", "Columns", "ColumnDeclaration", "DataType", "Index", "Storage",
    "Set", "NameTypePair", "ObjectTypeArgument", "EnumDataType", "TupleDataType", "Projection",
    "ProjectionSelectQuery", "Constraint",
}  # fmt: skip
ERASE_KINDS: Final = READ_KINDS | {"AlterQuery", "AlterCommand", "Partition", "Partition_ID"}
AST_FUNCTIONS: Final = frozenset({"lambda", "exists", "grouping"})
TABLE_OPERATORS: Final = re.compile(r"(?:global)?(?:not)?(?:null)?in(?:ignoreset)?", re.IGNORECASE)
EXPLAINABLE: Final = frozenset(
    {"EXPLAIN", "EXPLAIN PIPELINE", "EXPLAIN SYNTAX", "EXPLAIN ESTIMATE", "EXPLAIN AST", "EXPLAIN QUERY TREE"}
)
_NAME: Final = r"(?:\w+|q)"
_TAIL: Final = r"(?: FORMAT (\w+))?"
_LIKE: Final = r"(?: (?:NOT )?I?LIKE '')?(?: LIMIT \d+)?"
SHOW: Final = re.compile(
    rf"SHOW (?:FULL )?(?:TABLES|DATABASES|DICTIONARIES|SETTINGS|CHANGED SETTINGS|FUNCTIONS|ENGINES)"
    rf"(?: FROM {_NAME})?{_LIKE}{_TAIL}"
    rf"|SHOW (?:EXTENDED )?(?:FULL )?(?:COLUMNS|INDEXES) FROM {_NAME}(?: FROM {_NAME})?{_LIKE}{_TAIL}"
)
FORMAT: Final = re.compile(r" FORMAT (\w+)$")
DROP_PARTITION: Final = re.compile(r"ALTER TABLE \S+ (?:(?:, )?\(DROP PARTITION (?:ID ''|\([^()]*\))\))+")
CREATE: Final = re.compile(
    rf"CREATE (?:DATABASE|TABLE|VIEW) (?:IF NOT EXISTS )?{DATABASE}(?:\.\w+)?(?: .*)?", re.DOTALL
)
DEFINITIONS: Final = frozenset({"ADD_COLUMN", "ADD_INDEX", "COMMENT_COLUMN", "MODIFY_COMMENT", "MODIFY_SETTING"})


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement that may run. `format` is the one it names, or empty."""

    kind: str
    tables: tuple[str, ...] = ()
    format: str = ""
    is_read: bool = True
    has_totals: bool = False


def decide(role: Role, parsed: Parsed, erase_order: str = "") -> Statement:
    """What the statement is, if `role` may run it. Raises QueryRefused with the reason.

    `erase_order` is the id of the ERASE order under which the request runs; only it opens ALTER … DELETE.
    """
    rule = RULES.get(parsed.root.kind)
    if rule is None:
        raise QueryRefused(f"{role} may not run this kind of statement")
    check_clauses(parsed.blanked)
    return rule(role, parsed, erase_order)


def _allow_read(role: Role, parsed: Parsed, _order: str) -> Statement:
    tables = _check_select(GRANTS[role], parsed.root)
    return Statement("select", tables, _format_of(parsed), has_totals=" WITH TOTALS" in parsed.blanked)


def _allow_explain(role: Role, parsed: Parsed, _order: str) -> Statement:
    if parsed.root.text not in EXPLAINABLE:
        raise QueryRefused("only EXPLAIN of a SELECT is available")
    selects = [node for node in parsed.root.children if node.kind == "SelectWithUnionQuery"]
    others = [
        node.kind for node in parsed.root.children if node.kind not in ("SelectWithUnionQuery", "Set", "Identifier")
    ]
    if len(selects) != 1 or others:
        raise QueryRefused("only EXPLAIN of a SELECT is available")
    return Statement("explain", _check_select(GRANTS[role], selects[0]), _format_of(parsed))


def _allow_describe(role: Role, parsed: Parsed, _order: str) -> Statement:
    tables = _check_nodes(GRANTS[role], parsed.root.children)
    if any(node.kind == "Literal" for node in parsed.root.children):
        raise QueryRefused("INTO OUTFILE is not available")
    return Statement("describe", tables, _format_of(parsed))


def _allow_show(role: Role, parsed: Parsed, _order: str) -> Statement:
    if not SHOW.fullmatch(parsed.blanked):
        raise QueryRefused("this form of SHOW is not available")
    return Statement("show", (), _format_of(parsed))


def _allow_named(role: Role, parsed: Parsed, _order: str) -> Statement:
    """SHOW CREATE TABLE and EXISTS: the line itself names database and table."""
    names = parsed.root.text.split()
    if any(node.kind != "Identifier" for node in parsed.root.children):
        raise QueryRefused("INTO OUTFILE is not available")
    if not 1 <= len(names) <= 2:
        raise QueryRefused("unusual name")
    table = _check_table(GRANTS[role], ".".join(names))
    return Statement("show", (table,), _format_of(parsed))


def _allow_alter(role: Role, parsed: Parsed, order: str) -> Statement:
    grants = GRANTS[role]
    names = parsed.root.text.split()
    table = names[-1] if names else ""
    if not names or (len(names) == 2 and names[0] != DATABASE) or len(names) > 2:
        raise QueryRefused("only tables of custody can be altered")
    commands = [node for part in parsed.root.children[:1] for node in part.children]
    verbs = {node.text for node in commands if node.kind == "AlterCommand"}
    if verbs == {"DROP_PARTITION"} and table in grants.expires and DROP_PARTITION.fullmatch(parsed.blanked):
        return Statement("expire", (table,), is_read=False)
    if verbs == {"DELETE"} and table in grants.erases:
        return _allow_erase(grants, parsed, table, order)
    if verbs and verbs <= DEFINITIONS and grants.may_define:
        _check_definition(parsed.root)
        return Statement("alter", (table,), is_read=False)
    raise QueryRefused(f"{role} may not alter {table} in this way")


def _allow_erase(grants: Grants, parsed: Parsed, table: str, order: str) -> Statement:
    if not order:
        raise QueryRefused("DELETE needs the id of an ERASE order")
    if any(node.kind not in ERASE_KINDS for node in parsed.root.walk()) or len(parsed.root.children[0].children) != 1:
        raise QueryRefused("one plain DELETE at a time")
    _check_nodes(grants, [node for node in parsed.root.children[0].children[0].children if node.kind != "Partition"])
    return Statement("erase", (table,), is_read=False)


def _allow_create(role: Role, parsed: Parsed, _order: str) -> Statement:
    if not GRANTS[role].may_define or not CREATE.fullmatch(parsed.blanked):
        raise QueryRefused(f"{role} may not create this")
    _check_definition(parsed.root)
    return Statement("create", tuple(parsed.root.text.split()[1:]), is_read=False)


def _check_select(grants: Grants, select: Node) -> tuple[str, ...]:
    parts = select.children
    if not parts or parts[0].kind != "ExpressionList" or any(node.kind != "Identifier" for node in parts[1:]):
        raise QueryRefused("INTO OUTFILE and SETTINGS are not available")
    return _check_nodes(grants, parts[:1])


def _check_nodes(grants: Grants, nodes: list[Node]) -> tuple[str, ...]:
    """Every node known, every function and table allowed; returns the tables."""
    tables: set[str] = set()
    for node in Node("ExpressionList", "", nodes).walk():
        if node.kind not in READ_KINDS:
            raise QueryRefused(f"{node.kind} is not available")
        if node.kind == "TableExpression":
            _check_table_functions(node)
        if node.kind == "TableIdentifier":
            tables.add(_check_table(grants, node.name()))
        if node.kind == "SelectWithUnionQuery" and len(node.children) != 1:
            raise QueryRefused("INTO OUTFILE and SETTINGS are not available")
        _check_functions(grants, node)
    return tuple(sorted(tables))


def _check_table_functions(expression: Node) -> None:
    for node in expression.children:
        if node.kind == "Function" and node.name() not in TABLE_FUNCTIONS:
            raise QueryRefused(f"table function {node.name()} is not available")


def _check_functions(grants: Grants, node: Node) -> None:
    for child in node.children:
        if child.kind != "Function" or node.kind == "TableExpression":
            continue
        name = child.name()
        if name not in AST_FUNCTIONS and not is_allowed_function(name):
            raise QueryRefused(f"function {name} is not available")
        if TABLE_OPERATORS.fullmatch(name):
            _check_in_operand(grants, child)


def _check_in_operand(grants: Grants, function: Node) -> None:
    """`x IN name` reads a table when there is no such column."""
    for operand in function.children[0].children[1:] if function.children else []:
        if operand.kind in ("Identifier", "TableIdentifier") and "." in operand.text:
            _check_table(grants, operand.name())


def _check_table(grants: Grants, name: str) -> str:
    """A table's plain name. Names without a database are of custody or of a WITH: the handle's database is custody."""
    database, dot, table = name.rpartition(".")
    if not dot:
        return table
    if database == DATABASE and table in grants.reads:
        return table
    if name.lower() in SYSTEM_TABLES:
        return name.lower()
    raise QueryRefused(f"{name} is not readable for this role, or there is no such table")


def _check_definition(root: Node) -> None:
    for node in root.walk():
        if node.kind not in DEFINE_KINDS:
            raise QueryRefused(f"{node.kind} is not available")
        if node.kind != "Function":
            continue
        name = node.name()
        if not (name in ENGINES or name in COLUMN_WORDS or name in AST_FUNCTIONS or is_allowed_function(name)):
            raise QueryRefused(f"{name} is not available")


def _format_of(parsed: Parsed) -> str:
    match = FORMAT.search(parsed.blanked)
    return match.group(1) if match else ""


RULES: Final[dict[str, Callable[[Role, Parsed, str], Statement]]] = {
    "SelectWithUnionQuery": _allow_read,
    "Explain": _allow_explain,
    "DescribeQuery": _allow_describe,
    "ShowTables": _allow_show,
    "ShowColumns": _allow_show,
    "ShowIndexes": _allow_show,
    "ShowFunctions": _allow_show,
    "ShowEngineQuery": _allow_show,
    "ShowCreateTableQuery": _allow_named,
    "ExistsTableQuery": _allow_named,
    "AlterQuery": _allow_alter,
    "CreateQuery": _allow_create,
}
