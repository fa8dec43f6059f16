"""What a PostgreSQL statement does, from the server's own grammar (libpg_query through pglast).

Only what is surely a read is called one. Decided from the text alone, without a catalog: what the database's owner
hid behind views, rules, operators, casts or column-like function calls (`t.f` for `f(t)`) cannot be seen, apart from
known dangerous functions. Transactions: BEGIN, SAVEPOINT, ROLLBACK are reads; COMMIT and PREPARE TRANSACTION make
writes effective and are writes.
"""

from typing import Any, Final

import orjson
from pglast import Error, parser

from policy.model import Classified, Operation
from policy.postgres_settings import classify_setting
from policy.postgres_tree import Walk

MAX_PARSED_CHARS: Final = 256 * 1024
MAX_OBJECTS: Final = 200

_READ, _WRITE, _DELETE, _DDL, _GRANT, _EXECUTE, _ADMIN = Operation
UNKNOWN: Final = Classified(_ADMIN, is_unknown=True)

# The least a statement of this kind does; what is inside it can only raise that. Not listed = unknown.
_STATEMENTS: Final[dict[str, Operation]] = {
    **dict.fromkeys(
        "SelectStmt VariableShowStmt FetchStmt ClosePortalStmt DeallocateStmt ListenStmt UnlistenStmt ExplainStmt"
        " DeclareCursorStmt PrepareStmt ConstraintsSetStmt TransactionStmt VariableSetStmt CopyStmt".split(),
        _READ,
    ),
    **dict.fromkeys(
        "InsertStmt UpdateStmt MergeStmt NotifyStmt LockStmt VacuumStmt RefreshMatViewStmt DiscardStmt".split(), _WRITE
    ),
    **dict.fromkeys("DeleteStmt TruncateStmt".split(), _DELETE),
    **dict.fromkeys(
        "CreateStmt CreateTableAsStmt IndexStmt ViewStmt CreateSchemaStmt CreateSeqStmt AlterSeqStmt"
        " AlterTableStmt AlterTableMoveAllStmt DropStmt RenameStmt CommentStmt ReindexStmt ClusterStmt"
        " CreateTrigStmt RuleStmt CreateFunctionStmt AlterFunctionStmt DefineStmt CreateDomainStmt AlterDomainStmt"
        " CreateEnumStmt AlterEnumStmt CompositeTypeStmt CreateRangeStmt AlterTypeStmt CreateCastStmt"
        " CreateConversionStmt CreateOpClassStmt CreateOpFamilyStmt AlterOpFamilyStmt AlterOperatorStmt"
        " CreateStatsStmt AlterStatsStmt AlterObjectSchemaStmt AlterObjectDependsStmt AlterCollationStmt"
        " CreateTransformStmt CreateAmStmt CreatedbStmt DropdbStmt AlterDatabaseStmt AlterDatabaseSetStmt"
        " AlterDatabaseRefreshCollStmt CreateTableSpaceStmt DropTableSpaceStmt AlterTableSpaceOptionsStmt"
        " CreatePublicationStmt AlterPublicationStmt AlterTSDictionaryStmt AlterTSConfigurationStmt"
        " ImportForeignSchemaStmt CreateForeignTableStmt AlterExtensionContentsStmt DropOwnedStmt"
        " ReplicaIdentityStmt".split(),
        _DDL,
    ),
    **dict.fromkeys(
        "GrantStmt GrantRoleStmt AlterDefaultPrivilegesStmt CreateRoleStmt AlterRoleStmt AlterRoleSetStmt"
        " DropRoleStmt AlterOwnerStmt ReassignOwnedStmt CreatePolicyStmt AlterPolicyStmt SecLabelStmt".split(),
        _GRANT,
    ),
    **dict.fromkeys("CallStmt DoStmt ExecuteStmt".split(), _EXECUTE),
    **dict.fromkeys(
        "AlterSystemStmt CheckPointStmt LoadStmt CreateExtensionStmt AlterExtensionStmt CreatePLangStmt"
        " CreateEventTrigStmt AlterEventTrigStmt CreateFdwStmt AlterFdwStmt CreateForeignServerStmt"
        " AlterForeignServerStmt CreateUserMappingStmt AlterUserMappingStmt DropUserMappingStmt"
        " CreateSubscriptionStmt AlterSubscriptionStmt DropSubscriptionStmt".split(),
        _ADMIN,
    ),
}
_EFFECTIVE: Final = frozenset(
    f"TRANS_STMT_{kind}" for kind in ("COMMIT", "PREPARE", "COMMIT_PREPARED", "ROLLBACK_PREPARED")
)


def classify_postgres(statement: str) -> Classified:
    """Classify one statement or several; anything not understood is unknown, which is the most dangerous."""
    if len(statement) > MAX_PARSED_CHARS or "\0" in statement:
        return UNKNOWN
    try:
        trees = orjson.loads(parser.parse_sql_json(statement)).get("stmts", [])
        fingerprint = parser.fingerprint(statement) if trees else ""
    except (Error, ValueError, RecursionError):
        return UNKNOWN
    walk = Walk()
    operation = _READ
    is_unknown = False
    for tree in trees:
        for tag, body in tree.get("stmt", {}).items():
            is_unknown |= tag not in _STATEMENTS
            operation = _worse(operation, _operation_of(tag, body, walk))
    objects = walk.objects()
    return Classified(
        operation=_ADMIN if is_unknown else _worse(operation, walk.operation),
        objects=objects[:MAX_OBJECTS],
        fingerprint=fingerprint,
        is_multi=len(trees) > 1,
        lacks_where=walk.lacks_where,
        is_transaction=bool(trees) and all("TransactionStmt" in tree.get("stmt", {}) for tree in trees),
        has_where=walk.has_where and not walk.lacks_where,
        is_unknown=is_unknown or len(objects) > MAX_OBJECTS,
    )


def _worse(one: Operation, other: Operation) -> Operation:
    return one if one.rank >= other.rank else other


def _operation_of(tag: str, body: dict[str, Any], walk: Walk) -> Operation:
    """The operation of one statement; walks what is inside it."""
    operation = _STATEMENTS.get(tag, _ADMIN)
    match tag:
        case "ExplainStmt":
            return _explain(body, walk)
        case "CopyStmt":
            operation = _copy(body)
        case "TransactionStmt":
            return _WRITE if body.get("kind") in _EFFECTIVE else _READ
        case "VariableSetStmt":
            return _setting(body)
        case "AlterTableStmt" if _changes_rights(body):
            operation = _GRANT
    walk.walk({tag: body}, operation)
    return operation


def _explain(body: dict[str, Any], walk: Walk) -> Operation:
    """Planning runs no statement, though it may call functions; ANALYZE runs it."""
    inner = body.get("query", {})
    if any(_is_analyze(option.get("DefElem", {})) for option in body.get("options", [])):
        operations = [_operation_of(tag, part, walk) for tag, part in inner.items()]
        return max(operations, key=lambda o: o.rank, default=_READ)
    planned = Walk(is_plan_only=True)
    planned.walk(inner, _READ)
    walk.absorb(planned)
    return _READ


def _is_analyze(option: dict[str, Any]) -> bool:
    if option.get("defname", "").lower() != "analyze":
        return False
    value = option.get("arg", {}).get("String", {}).get("sval", "true")  # numbers count as true
    return str(value).lower() not in ("false", "off")


def _copy(body: dict[str, Any]) -> Operation:
    if body.get("is_program") or body.get("filename") is not None:
        return _ADMIN  # a process or a file of the server
    return _WRITE if body.get("is_from") else _READ


def _changes_rights(body: dict[str, Any]) -> bool:
    commands = (command.get("AlterTableCmd", {}).get("subtype", "") for command in body.get("cmds", []))
    return any("RowSecurity" in subtype or subtype == "AT_ChangeOwner" for subtype in commands)


def _setting(body: dict[str, Any]) -> Operation:
    """SET and RESET."""
    if body.get("kind") == "VAR_RESET_ALL":
        return _READ  # leaves role and session_authorization alone
    values = [str(arg.get("A_Const", {}).get("sval", {}).get("sval", "")) for arg in body.get("args", [])]
    return classify_setting(body.get("name", ""), values)
