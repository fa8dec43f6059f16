"""What a message of the Model Context Protocol does: JSON-RPC, one message or a batch.

A tool is judged by its name and by what its arguments say: SQL, commands and requests in them are classified by their
own classifiers. What a server claims of a tool (annotations) can make a call worse, never milder. A tool whose name
says nothing may do anything that a program can: execute.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

from policy.documents import messages_of, read_document
from policy.fingerprints import shape_of
from policy.http import classify_http
from policy.mcp_names import judge_name, split_name
from policy.model import Classified, ObjectAccess, Operation, worse
from policy.mysql import classify_mysql
from policy.postgres import classify_postgres
from policy.redis import classify_redis
from policy.shell import classify_shell

_READ, _WRITE, _DELETE, _DDL, _GRANT, _EXECUTE, _ADMIN = Operation
UNKNOWN: Final = Classified(_ADMIN, is_unknown=True)
MAX_CHARS: Final = 4 * 1024 * 1024
MAX_VALUES: Final = 10_000
MAX_TEXT_CHARS: Final = 64 * 1024
MAX_OBJECTS: Final = 200

_METHODS: Final = {
    **dict.fromkeys(
        "initialize ping tools/list resources/list resources/templates/list resources/read resources/subscribe"
        " resources/unsubscribe prompts/list prompts/get completion/complete logging/setLevel roots/list tasks/get"
        " tasks/list tasks/result server/discover".split(),
        _READ,
    ),
    "tasks/cancel": _DELETE,
    "elicitation/create": _WRITE,  # asks a person
    "sampling/createMessage": _EXECUTE,  # lets the server speak to the model
}
_SQL_KEYS: Final = re.compile(
    r"(?i)^(?:sql|query|queries|statement|statements|sql_?(?:query|text|statement)|raw_?(?:sql|query))$"
)
_SHELL_KEYS: Final = re.compile(
    r"(?i)^(?:command|commands|cmd|cmdline|command_?line|shell|bash|script|shell_?command|args?v?|powershell)$"
)
_CODE_KEYS: Final = re.compile(
    r"(?i)^(?:code|source_?code|python|javascript|js|lua|expression|eval|function|program|macro)$"
)
_ACTION_KEYS: Final = re.compile(r"(?i)^(?:action|operation|op|verb|method|mode|command|cmd|subcommand|intent|type)$")
_SQL_START: Final = re.compile(
    r"(?i)^[\s(;]*(?:--[^\n]*\n\s*|#[^\n]*\n\s*|/\*.*?\*/\s*)*(?:select|insert|update|delete|merge|replace|truncate|drop|create|alter|grant|revoke"
    r"|with|copy|call|do|execute|exec|set|explain|vacuum|load|show|table|values|begin|commit|rename|lock|kill|flush)\b",
    re.DOTALL,
)
_MONGODB_KEYS: Final = {
    "$where": _EXECUTE, "$function": _EXECUTE, "$accumulator": _EXECUTE, "$out": _DELETE, "$merge": _WRITE,
}  # fmt: skip
_REDIS_NAMES: Final = frozenset({"redis", "valkey"})
_GRAPHQL: Final = re.compile(r"^\s*(query|mutation|subscription)\b[^{}();]*(?:\([^{}]*\)[^{}]*)?\{")
_REQUEST_NAMES: Final = frozenset("api http https rest web call request fetch curl make send do execute client".split())
_METHOD_NAMES: Final = frozenset("GET HEAD OPTIONS POST PUT PATCH DELETE TRACE CONNECT".split())
_SQL_NAMES: Final = frozenset(
    "sql db database postgres postgresql mysql mariadb sqlite clickhouse bigquery snowflake dba".split()
)


class _MalformedError(ValueError):
    """No JSON-RPC message."""


def classify_mcp(statement: str) -> Classified:
    """Classify a JSON-RPC message or a batch. What is none, and methods that nobody knows, are unknown."""
    return UNKNOWN if len(statement) > MAX_CHARS else judge_document(read_document(statement))


def judge_document(document: Any) -> Classified:
    """As `classify_mcp`, of what was read already."""
    messages = messages_of(document)
    if not messages:
        return UNKNOWN
    try:
        found = [_Message(message) for message in messages]
    except (ValueError, RecursionError):
        return UNKNOWN
    objects: dict[str, Operation] = {}
    for each in found:
        for name, access in each.objects.items():
            objects[name] = worse(objects.get(name, _READ), access)
    lacks_where = any(each.lacks_where for each in found)
    is_unknown = len(objects) > MAX_OBJECTS
    return Classified(
        _ADMIN if is_unknown else worse(_READ, *(each.operation for each in found)),
        tuple(ObjectAccess(name, access) for name, access in list(objects.items())[:MAX_OBJECTS]),
        shape_of(each.shape for each in found),
        is_multi=len(found) > 1 or any(each.is_multi for each in found),
        has_where=any(each.has_where for each in found) and not lacks_where,
        lacks_where=lacks_where,
        is_unknown=is_unknown,
    )


class _Message:
    """One message, judged. Raises _MalformedError."""

    def __init__(self, message: Any) -> None:
        self.objects: dict[str, Operation] = {}
        self.has_where = self.lacks_where = self.is_multi = False
        self.shape = ""
        self.operation = _READ
        if not isinstance(message, dict) or message.get("jsonrpc") != "2.0":
            raise _MalformedError
        method = message.get("method")
        if method is None and ("result" in message or "error" in message):
            self.shape = "response"
            return
        params = message.get("params", {})
        if not isinstance(method, str) or not isinstance(params, dict):
            raise _MalformedError
        self.shape = method
        if method == "tools/call":
            self.operation = self._tool(params)
        elif method in _METHODS:
            self.operation = _METHODS[method]
            subject = params.get("uri") or params.get("name")
            if isinstance(subject, str) and method.startswith(("resources/", "prompts/")):
                self.objects[subject] = self.operation
        elif not method.startswith("notifications/"):
            raise _MalformedError

    def _tool(self, params: dict[str, Any]) -> Operation:
        name, arguments = params.get("name"), params.get("arguments") or {}
        if not isinstance(name, str) or not name or not isinstance(arguments, dict):
            raise _MalformedError
        self.shape = " ".join(["tools/call", name, *sorted(arguments)])
        words = split_name(name)
        inner = self._arguments(arguments, words)
        by_name = judge_name(words)
        is_request = "method" in arguments and set(words) <= _REQUEST_NAMES
        if inner is not None and (by_name is None or is_request or _is_carrier(words, by_name)):
            operation = inner  # a tool for SQL does what the SQL does, one that is told an action does that
        else:
            operation = worse(by_name if by_name is not None else _EXECUTE, inner or _READ)
        operation = worse(operation, self._claims(params))
        self.objects[name] = worse(self.objects.get(name, _READ), operation)
        return operation

    @staticmethod
    def _claims(params: dict[str, Any]) -> Operation:
        meta = params.get("_meta")
        annotations = params.get("annotations") or (meta.get("annotations") if isinstance(meta, dict) else None)
        is_destructive = isinstance(annotations, dict) and annotations.get("destructiveHint") is True
        return _DELETE if is_destructive else _READ

    def _arguments(self, arguments: dict[str, Any], words: list[str]) -> Operation | None:
        """What the values say: None when they say nothing."""
        found: list[Operation] = []
        request = [value for key, value in arguments.items() if key.lower() in ("method", "http_method")]
        url = next((value for key, value in arguments.items() if key.lower() in ("url", "uri", "endpoint", "path")), "")
        if request and isinstance(request[0], str) and request[0].upper() in _METHOD_NAMES:
            target = url if isinstance(url, str) and url else "/"
            found.append(classify_http(f"{request[0].upper()} {target}").operation)
        for key, value in _values(arguments):
            if key in _MONGODB_KEYS:
                found.append(_MONGODB_KEYS[key])
            operation = self._value(key, value, words)
            if operation is not None:
                found.append(operation)
        return worse(_READ, *found) if found else None

    def _value(self, key: str, value: str, words: list[str]) -> Operation | None:
        if len(value) > MAX_TEXT_CHARS:
            return _ADMIN if _SQL_KEYS.match(key) or _SHELL_KEYS.match(key) else None
        if _CODE_KEYS.match(key):
            return _EXECUTE
        if _REDIS_NAMES & set(words) and _SHELL_KEYS.match(key):
            return classify_redis(value).operation
        if _SHELL_KEYS.match(key) and value.strip():
            return worse(_EXECUTE, classify_shell(value).operation)
        is_sql = "quer" not in key.lower() or bool((_SQL_NAMES | {"query", "queries"}) & set(words))
        if (graphql := _GRAPHQL.match(value)) is not None and not _SQL_START.match(value):
            is_change = graphql[1] == "mutation"
            return worse(_WRITE, judge_name(split_name(value)) or _READ) if is_change else _READ
        if _SQL_KEYS.match(key) and is_sql:
            return self._sql(value) or _ADMIN
        if _SQL_START.match(value) and not (found := classify_postgres(value)).is_unknown:
            return found.operation
        if _ACTION_KEYS.match(key) and len(value) <= 64:
            return judge_name(split_name(value))
        return None

    def _sql(self, text: str) -> Operation | None:
        """The worse of what PostgreSQL and MySQL would do; None when neither takes it."""
        both = [each for each in (classify_postgres(text), classify_mysql(text)) if not each.is_unknown]
        for each in both:
            self.has_where |= each.has_where
            self.lacks_where |= each.lacks_where
            self.is_multi |= each.is_multi
            for item in each.objects:
                self.objects[item.name] = worse(self.objects.get(item.name, _READ), item.access)
        return worse(_READ, *(each.operation for each in both)) if both else None


def _is_carrier(words: list[str], by_name: Operation | None) -> bool:
    """Whether a tool only hands on what its arguments say: `execute_sql`, `query`, `db_run`."""
    carried = {"query", "queries", "statement", "execute", "run", "exec", "read", "select"}
    is_sql = bool(_SQL_NAMES & set(words)) or bool({"query", "queries", "statement"} & set(words))
    rest = set(words) - carried - _SQL_NAMES - {"tool", "mcp", "custom", "raw"}
    return is_sql and (not rest or by_name in (None, _READ, _EXECUTE)) and by_name not in (_DELETE, _ADMIN)


def _values(arguments: Any) -> Iterator[tuple[str, str]]:
    """Every text within, with the name it stands under. Iterative. Raises _MalformedError when there are too many."""
    stack: list[tuple[str, Any]] = [("", arguments)]
    count = 0
    while stack:
        key, value = stack.pop()
        count += 1
        if count > MAX_VALUES:
            raise _MalformedError
        if isinstance(value, str):
            yield key, value
        elif isinstance(value, dict):
            stack.extend(value.items())
            stack.extend((name, "") for name in value.keys() & _MONGODB_KEYS.keys())
        elif isinstance(value, list):
            if _SHELL_KEYS.match(key) and all(isinstance(each, str) for each in value):
                yield key, " ".join(_quote(each) for each in value)
            else:
                stack.extend((key, each) for each in value)


def _quote(word: str) -> str:
    return "'" + word.replace("'", "'\\''") + "'"
