"""What a PostgreSQL statement does, from the server's own grammar (libpg_query through pglast).

Only what is surely a read is called one. Decided from the text alone, without a catalog: what the database's owner
hid behind views, rules, casts or column-like function calls (`t.f` for `f(t)`) cannot be seen, apart from known
dangerous functions. Transactions: BEGIN, SAVEPOINT, ROLLBACK are reads; COMMIT and PREPARE TRANSACTION make writes
effective and are writes. Text that is run as SQL is read too when it is constant; computed, it could be anything.
"""

from typing import Any, Final

import orjson
from pglast import Error, parser

from policy.model import Classified, Operation, worse
from policy.postgres_settings import classify_setting
from policy.postgres_statements import STATEMENTS, statement_operation
from policy.postgres_tree import Walk

MAX_PARSED_CHARS: Final = 256 * 1024
MAX_OBJECTS: Final = 200
MAX_TEXT_DEPTH: Final = 3

_READ, _WRITE, _DELETE, _DDL, _GRANT, _EXECUTE, _ADMIN = Operation
UNKNOWN: Final = Classified(_ADMIN, is_unknown=True)


def classify_postgres(statement: str, *, depth: int = 0) -> Classified:
    """Classify one statement or several; anything not understood is unknown, which is the most dangerous."""
    if len(statement) > MAX_PARSED_CHARS or "\0" in statement or depth > MAX_TEXT_DEPTH:
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
            is_unknown |= tag not in STATEMENTS
            operation = worse(operation, _operation_of(tag, body, walk))
    for texts in walk.texts:
        operation = worse(operation, _text_operation(texts, depth, walk))
    if any("DoStmt" in tree.get("stmt", {}) for tree in trees):
        operation = worse(operation, _code_operation(statement, depth, walk))
    objects = walk.objects()
    return Classified(
        operation=_ADMIN if is_unknown else worse(operation, walk.operation),
        objects=objects[:MAX_OBJECTS],
        fingerprint=fingerprint,
        is_multi=len(trees) > 1,
        lacks_where=walk.lacks_where,
        is_transaction=bool(trees) and all("TransactionStmt" in tree.get("stmt", {}) for tree in trees),
        has_where=walk.has_where and not walk.lacks_where,
        is_unknown=is_unknown or len(objects) > MAX_OBJECTS,
        columns=walk.columns(),
    )


def _operation_of(tag: str, body: dict[str, Any], walk: Walk) -> Operation:
    """The operation of one statement; walks what is inside it."""
    match tag:
        case "ExplainStmt":
            return _explain(body, walk)
        case "TransactionStmt":
            return statement_operation(tag, body)
        case "VariableSetStmt":
            return _setting(body)
        case "CallStmt":
            call = body.get("funccall", {})
            walk.touch(".".join(_names(call.get("funcname", []))) + "()", _EXECUTE)
        case "CreateFunctionStmt":
            walk.touch(".".join(_names(body.get("funcname", []))) + "()", _DDL)
        case "CreateRoleStmt" | "CreatedbStmt" | "DropdbStmt" | "CreateSchemaStmt":
            walk.touch(str(body.get("role") or body.get("dbname") or body.get("schemaname") or ""), _DDL)
    operation = statement_operation(tag, body)
    walk.walk({tag: body}, operation)
    return operation


def _explain(body: dict[str, Any], walk: Walk) -> Operation:
    """Planning runs no statement, though it may call functions; ANALYZE runs it."""
    inner = body.get("query", {})
    if any(_is_analyze(option.get("DefElem", {})) for option in body.get("options", [])):
        operations = [_operation_of(tag, part, walk) for tag, part in inner.items()]
        return worse(_READ, *operations)
    planned = Walk(is_plan_only=True)
    if "CreateTableAsStmt" in inner:
        inner = inner["CreateTableAsStmt"].get("query", {})
    planned.walk(inner, _READ)
    walk.absorb(planned)
    return _EXECUTE if "ExecuteStmt" in inner else _READ  # what was prepared may call functions while it is planned


def _is_analyze(option: dict[str, Any]) -> bool:
    if option.get("defname", "").lower() != "analyze":
        return False
    value = option.get("arg", {}).get("String", {}).get("sval", "true")  # numbers count as true
    return str(value).lower() not in ("false", "off")


def _names(parts: list[dict[str, Any]]) -> list[str]:
    return [part.get("String", {}).get("sval", "") for part in parts]


def _setting(body: dict[str, Any]) -> Operation:
    """SET and RESET."""
    if body.get("kind") == "VAR_RESET_ALL":
        return _READ  # leaves role and session_authorization alone
    values = [str(arg.get("A_Const", {}).get("sval", {}).get("sval", "")) for arg in body.get("args", [])]
    return classify_setting(body.get("name", ""), values)


def _text_operation(texts: list[str] | None, depth: int, walk: Walk) -> Operation:
    """What SQL does that is given as text, one of `texts`: the worst of those that are SQL at all."""
    found = [each for text in texts or () if not (each := classify_postgres(text, depth=depth + 1)).is_unknown]
    for each in found:
        for item in each.objects:
            walk.touch(item.name, item.access)
    return worse(_EXECUTE, *(each.operation for each in found)) if found else _ADMIN


def _code_operation(statement: str, depth: int, walk: Walk) -> Operation:
    """What the statements in DO blocks do. EXECUTE of a computed text could be any; other languages run on the host."""
    try:
        document = orjson.loads(parser.parse_plpgsql_json(statement))
    except (Error, ValueError, RecursionError):
        return _ADMIN
    found: list[Operation] = [_EXECUTE]
    stack: list[Any] = [document]
    while stack:
        node = stack.pop()
        if isinstance(node, list):
            stack.extend(node)
        elif isinstance(node, dict):
            dynamic = [node[tag] for tag in node if "dynexecute" in tag or "dynfors" in tag]
            found.extend(_dynamic(each, depth, walk) for each in dynamic)
            text = node.get("PLpgSQL_expr", {}).get("query")
            if text:
                found.append(_inner(str(text), depth, walk))
            stack.extend(node.values())
    return worse(_READ, *found)


def _dynamic(node: dict[str, Any], depth: int, walk: Walk) -> Operation:
    text = str(node.get("query", {}).get("PLpgSQL_expr", {}).get("query", "")).strip()
    is_constant = len(text) > 1 and text[0] == text[-1] == "'" and "'" not in text[1:-1].replace("''", "")
    return _text_operation([text[1:-1].replace("''", "'")] if is_constant else None, depth, walk)


def _inner(text: str, depth: int, walk: Walk) -> Operation:
    """A statement or an expression of a block; one that cannot be read alone (an assignment) counts as the block."""
    for candidate in (text, f"SELECT {text}", f"SELECT {text.partition(':=')[2] or text.partition('=')[2]}"):
        classified = classify_postgres(candidate, depth=depth + 1)
        if not classified.is_unknown:
            for item in classified.objects:
                walk.touch(item.name, item.access)
            return classified.operation
    return _EXECUTE
