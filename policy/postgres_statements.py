"""The least that each kind of PostgreSQL statement does; what is inside it can only raise that."""

from typing import Any, Final

from policy.model import Operation

_READ, _WRITE, _DELETE, _DDL, _GRANT, _EXECUTE, _ADMIN = Operation

STATEMENTS: Final[dict[str, Operation]] = {
    **dict.fromkeys(
        "SelectStmt VariableShowStmt FetchStmt ClosePortalStmt DeallocateStmt ListenStmt UnlistenStmt ExplainStmt"
        " DeclareCursorStmt PrepareStmt ConstraintsSetStmt TransactionStmt VariableSetStmt CopyStmt".split(),
        _READ,
    ),
    **dict.fromkeys("InsertStmt UpdateStmt MergeStmt NotifyStmt LockStmt DiscardStmt".split(), _WRITE),
    **dict.fromkeys("DeleteStmt TruncateStmt".split(), _DELETE),
    **dict.fromkeys(
        "CreateStmt CreateTableAsStmt IndexStmt ViewStmt CreateSchemaStmt CreateSeqStmt AlterSeqStmt"
        " AlterTableStmt AlterTableMoveAllStmt DropStmt RenameStmt CommentStmt RefreshMatViewStmt"
        " CreateTrigStmt RuleStmt CreateFunctionStmt AlterFunctionStmt DefineStmt CreateDomainStmt AlterDomainStmt"
        " CreateEnumStmt AlterEnumStmt CompositeTypeStmt CreateRangeStmt AlterTypeStmt CreateCastStmt"
        " CreateConversionStmt CreateOpClassStmt CreateOpFamilyStmt AlterOpFamilyStmt AlterOperatorStmt"
        " CreateStatsStmt AlterStatsStmt AlterObjectSchemaStmt AlterObjectDependsStmt AlterCollationStmt"
        " CreateTransformStmt CreatedbStmt DropdbStmt AlterDatabaseStmt"
        " AlterDatabaseRefreshCollStmt"
        " CreatePublicationStmt AlterPublicationStmt AlterTSDictionaryStmt AlterTSConfigurationStmt"
        " ImportForeignSchemaStmt CreateForeignTableStmt AlterExtensionContentsStmt ReplicaIdentityStmt".split(),
        _DDL,
    ),
    **dict.fromkeys(
        "GrantStmt GrantRoleStmt AlterDefaultPrivilegesStmt CreateRoleStmt AlterRoleStmt AlterRoleSetStmt"
        " DropRoleStmt AlterOwnerStmt ReassignOwnedStmt DropOwnedStmt CreatePolicyStmt AlterPolicyStmt"
        " SecLabelStmt".split(),
        _GRANT,
    ),
    **dict.fromkeys("CallStmt DoStmt ExecuteStmt".split(), _EXECUTE),
    **dict.fromkeys(
        "AlterSystemStmt CheckPointStmt LoadStmt CreateExtensionStmt AlterExtensionStmt CreatePLangStmt"
        " CreateEventTrigStmt AlterEventTrigStmt CreateFdwStmt AlterFdwStmt CreateForeignServerStmt"
        " AlterForeignServerStmt CreateUserMappingStmt AlterUserMappingStmt DropUserMappingStmt"
        " CreateSubscriptionStmt AlterSubscriptionStmt DropSubscriptionStmt VacuumStmt ClusterStmt ReindexStmt"
        " CreateAmStmt CreateTableSpaceStmt DropTableSpaceStmt AlterTableSpaceOptionsStmt AlterDatabaseSetStmt".split(),
        _ADMIN,
    ),
}
_EFFECTIVE: Final = frozenset(
    f"TRANS_STMT_{kind}" for kind in ("COMMIT", "PREPARE", "COMMIT_PREPARED", "ROLLBACK_PREPARED")
)
# Languages whose functions run in the server's process without its rules.
_UNTRUSTED: Final = frozenset({"c", "internal"})
_MIGHTY: Final = frozenset({"superuser", "isreplication", "bypassrls", "createrole"})
_MIGHTY_ROLES: Final = frozenset(
    "pg_read_server_files pg_write_server_files pg_execute_server_program pg_signal_backend pg_checkpoint"
    " pg_maintain pg_create_subscription".split()
)
# What DROP and RENAME do to objects that are more than a schema's content.
_OBJECTS: Final = {
    **dict.fromkeys(("OBJECT_POLICY", "OBJECT_ROLE"), _GRANT),
    **dict.fromkeys(
        "OBJECT_EXTENSION OBJECT_LANGUAGE OBJECT_FDW OBJECT_FOREIGN_SERVER OBJECT_EVENT_TRIGGER OBJECT_SUBSCRIPTION"
        " OBJECT_TABLESPACE OBJECT_ACCESS_METHOD".split(),
        _ADMIN,
    ),
}
_FILES: Final = frozenset({"program", "filename"})  # what file_fdw reads
_DISCARDS: Final = {"DISCARD_ALL": _EXECUTE, "DISCARD_TEMP": _DDL}  # ALL also ends SET SESSION AUTHORIZATION


def statement_operation(tag: str, body: dict[str, Any]) -> Operation:
    """What a statement of this kind does by itself. A kind that is not in the table is the most dangerous."""
    match tag:
        case "CopyStmt":
            return _copy(body)
        case "TransactionStmt":
            return _WRITE if body.get("kind") in _EFFECTIVE else _READ
        case "AlterTableStmt" if _changes_rights(body):
            return _GRANT
        case "CreateRoleStmt" | "AlterRoleStmt" if _makes_mighty(body):
            return _ADMIN
        case "GrantRoleStmt" if body.get("is_grant") and _mighty_roles(body):
            return _ADMIN
        case "CreateFunctionStmt" | "AlterFunctionStmt":
            return _function(body)
        case "CreateForeignTableStmt" if any(name in _FILES for name, _ in _options(body, "options")):
            return _EXECUTE
        case "DropStmt" | "RenameStmt":
            return _OBJECTS.get(body.get("removeType") or body.get("renameType") or "", _DDL)
        case "DiscardStmt":
            return _DISCARDS.get(body.get("target", ""), _READ)
    return STATEMENTS.get(tag, _ADMIN)


def _copy(body: dict[str, Any]) -> Operation:
    if body.get("is_program") or body.get("filename") is not None:
        return _EXECUTE  # a process or a file of the server
    return _WRITE if body.get("is_from") else _READ


def _changes_rights(body: dict[str, Any]) -> bool:
    commands = (command.get("AlterTableCmd", {}).get("subtype", "") for command in body.get("cmds", []))
    return any("RowSecurity" in subtype or subtype == "AT_ChangeOwner" for subtype in commands)


def _options(body: dict[str, Any], name: str) -> list[tuple[str, Any]]:
    found = (option.get("DefElem", {}) for option in body.get(name, []))
    return [(str(each.get("defname", "")).lower(), each.get("arg", {})) for each in found]


def _makes_mighty(body: dict[str, Any]) -> bool:
    return any(
        name in _MIGHTY and argument.get("Boolean", {}).get("boolval") for name, argument in _options(body, "options")
    )


def _mighty_roles(body: dict[str, Any]) -> bool:
    roles = {role.get("AccessPriv", {}).get("priv_name", "") for role in body.get("granted_roles", [])}
    return bool(roles & _MIGHTY_ROLES)


def _function(body: dict[str, Any]) -> Operation:
    """A function's body is run later, but some kinds of function are more than their definition."""
    operation = _DDL
    for name, argument in _options(body, "options") + _options(body, "actions"):
        language = str(argument.get("String", {}).get("sval", "")).lower() if name == "language" else ""
        if language in _UNTRUSTED or language.endswith("u"):
            return _EXECUTE
        if name == "security" and argument.get("Boolean", {}).get("boolval"):
            operation = _GRANT
    return operation
