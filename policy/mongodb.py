"""What MongoDB commands do: the command document as JSON, its first field naming the command.

JavaScript on the server is execute wherever it stands. `$out` replaces a collection, so it deletes. Writes to system
collections and to the databases of the cluster itself are admin. Explaining a plan reads; running one counts in full.
"""

import json
from collections.abc import Iterator
from typing import Any, Final

from policy.fingerprints import shape_of
from policy.model import Classified, ObjectAccess, Operation, worse
from policy.mongodb_commands import CODE, COMMANDS, GENERIC, MIGHTY_ROLES, STAGES

_READ, _WRITE, _DELETE, _DDL, _GRANT, _EXECUTE, _ADMIN = Operation
UNKNOWN: Final = Classified(_ADMIN, is_unknown=True)
MAX_CHARS: Final = 16 * 1024 * 1024
MAX_NODES: Final = 200_000
MAX_OBJECTS: Final = 200
MAX_DEPTH: Final = 200
_CLUSTER_DATABASES: Final = frozenset({"config", "local"})

Document = dict[str, Any]


class _NotUnderstoodError(ValueError):
    """A document that no server would take, or that we cannot judge."""


def classify_mongodb(statement: str) -> Classified:
    """Classify one command document, or a list of them. What is no JSON, or names no known command, is unknown."""
    if len(statement) > MAX_CHARS:
        return UNKNOWN
    try:
        data = json.loads(statement, object_pairs_hook=_unique)
        documents = data if isinstance(data, list) else [data]
        if not documents:
            raise _NotUnderstoodError
        commands = [_Command(document) for document in documents]
    except (ValueError, RecursionError):
        return UNKNOWN
    objects: dict[str, Operation] = {}
    for command in commands:
        for name, access in command.objects.items():
            objects[name] = worse(objects.get(name, _READ), access)
    lacks_where = any(command.lacks_where for command in commands)
    is_unknown = len(objects) > MAX_OBJECTS
    return Classified(
        _ADMIN if is_unknown else worse(_READ, *(command.operation for command in commands)),
        tuple(ObjectAccess(name, access) for name, access in list(objects.items())[:MAX_OBJECTS]),
        shape_of(_skeleton(document) for document in documents),
        is_multi=len(commands) > 1 or any(command.is_multi for command in commands),
        has_where=any(command.has_where for command in commands) and not lacks_where,
        lacks_where=lacks_where,
        is_transaction=all(command.name in ("committransaction", "aborttransaction") for command in commands),
        is_unknown=is_unknown,
    )


def _unique(pairs: list[tuple[str, Any]]) -> Document:
    """Repeated names are read differently by different readers."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _NotUnderstoodError
    return found


def _skeleton(value: Any, depth: int = 0) -> str:
    """Names and structure without values; what follows the first level of a list is left out."""
    if isinstance(value, dict) and depth < MAX_DEPTH:
        return "{" + ",".join(f"{name}:{_skeleton(each, depth + 1)}" for name, each in value.items()) + "}"
    if isinstance(value, list) and value and depth < MAX_DEPTH:
        return "[" + _skeleton(value[0], depth + 1) + "]"
    return value if isinstance(value, str) and depth == 1 else "?"


class _Command:
    """One command document, judged. Raises _NotUnderstoodError."""

    def __init__(self, document: Any, depth: int = 0) -> None:
        if not isinstance(document, dict) or depth > 2:
            raise _NotUnderstoodError
        self.objects: dict[str, Operation] = {}
        self.has_where = False
        self.lacks_where = False
        self.is_multi = False
        self._depth = depth
        self._nodes = 0
        first = next((name for name in document if name not in GENERIC), "")
        if first in ("$query", "query"):
            document, first = document[first], next(iter(document[first]), "")
        self.name = first.lower()
        self._document = document
        self._argument = document.get(first)
        if self.name not in COMMANDS:
            raise _NotUnderstoodError
        self._database = str(document.get("$db", ""))
        self.operation = self._judge(COMMANDS[self.name])

    def _judge(self, operation: Operation) -> Operation:
        special = getattr(self, f"_{self.name}", None)
        if special is not None:
            operation = special(operation)
        elif isinstance(self._argument, str):
            self._touch(self._argument, operation)
        if self.name != "insert" and self._has_code(self._document):
            operation = worse(operation, _EXECUTE)
        targets = [name for name, access in self.objects.items() if access is not _READ]
        if any("system." in f".{name}" for name in targets) or (targets and self._database in _CLUSTER_DATABASES):
            operation = _ADMIN
        return operation

    def _touch(self, name: Any, access: Operation) -> None:
        if isinstance(name, str) and name:
            self.objects[name] = worse(self.objects.get(name, _READ), access)

    def _filter(self, value: Any, *, is_change: bool = False) -> None:
        if isinstance(value, dict) and value:
            self.has_where = True
        elif is_change:
            self.lacks_where = True

    def _has_code(self, document: Any) -> bool:
        """Whether JavaScript stands anywhere in it. Iterative; raises when there is too much to look at."""
        stack = [document]
        while stack:
            node = stack.pop()
            self._nodes += 1
            if self._nodes > MAX_NODES:
                raise _NotUnderstoodError
            if isinstance(node, dict):
                if node.keys() & CODE:
                    return True
                stack.extend(node.values())
            elif isinstance(node, list):
                stack.extend(node)
        return False

    # -- commands that are more than their name

    def _find(self, operation: Operation) -> Operation:
        self._touch(self._argument, operation)
        self._filter(self._document.get("filter"))
        return operation

    def _count(self, operation: Operation) -> Operation:
        self._touch(self._argument, operation)
        self._filter(self._document.get("query"))
        return operation

    _distinct = _count

    def _update(self, operation: Operation) -> Operation:
        self._touch(self._argument, operation)
        for each in _documents(self._document.get("updates", [])):
            self._filter(each.get("q"), is_change=True)
        return operation

    def _delete(self, operation: Operation) -> Operation:
        self._touch(self._argument, operation)
        for each in _documents(self._document.get("deletes", [])):
            self._filter(each.get("q"), is_change=True)
        return operation

    def _findandmodify(self, _operation: Operation) -> Operation:
        operation = _DELETE if self._document.get("remove") else _WRITE
        self._touch(self._argument, operation)
        self._filter(self._document.get("query"), is_change=True)
        return operation

    def _bulkwrite(self, _operation: Operation) -> Operation:
        spaces = [str(each.get("ns", "")) for each in _documents(self._document.get("nsInfo", []))]
        operation = _READ
        entries = _documents(self._document.get("ops", []))
        self.is_multi = len(entries) > 1
        for entry in entries:
            kind = next((name for name in ("insert", "update", "delete") if name in entry), "")
            if not kind:
                raise _NotUnderstoodError
            own = _DELETE if kind == "delete" else _WRITE
            index = entry[kind]
            if isinstance(index, int) and 0 <= index < len(spaces):
                self._touch(spaces[index], own)
            if kind != "insert":
                self._filter(entry.get("filter"), is_change=True)
            operation = worse(operation, own)
        return operation

    def _aggregate(self, operation: Operation) -> Operation:
        self._touch(self._argument, _READ)
        return worse(operation, *self._pipeline(self._document.get("pipeline"), 0))

    def _pipeline(self, stages: Any, depth: int) -> Iterator[Operation]:
        """What each stage does, and those of pipelines within it."""
        if not isinstance(stages, list) or depth > MAX_DEPTH:
            raise _NotUnderstoodError
        for stage in stages:
            if not isinstance(stage, dict) or len(stage) != 1:
                raise _NotUnderstoodError
            (name, body), *_ = stage.items()
            if name not in STAGES:
                raise _NotUnderstoodError
            yield STAGES[name]
            if name == "$match":
                self._filter(body)
            elif name in ("$out", "$merge"):
                self._touch(_target(body), STAGES[name])
            elif name == "$facet" and isinstance(body, dict):
                for inner in body.values():
                    yield from self._pipeline(inner, depth + 1)
            elif name in ("$lookup", "$graphLookup", "$unionWith"):
                self._touch(body if isinstance(body, str) else _part(body, "from") or _part(body, "coll"), _READ)
                if isinstance(body, dict) and "pipeline" in body:
                    yield from self._pipeline(body["pipeline"], depth + 1)
            elif isinstance(body, dict) and isinstance(body.get("pipeline"), list):
                yield from self._pipeline(body["pipeline"], depth + 1)

    def _explain(self, _operation: Operation) -> Operation:
        inner = _Command(self._argument, self._depth + 1)
        self.has_where, self.lacks_where = inner.has_where, inner.lacks_where
        is_run = self._document.get("verbosity") != "queryPlanner"
        self.objects = dict(inner.objects) if is_run else dict.fromkeys(inner.objects, _READ)
        return inner.operation if is_run else _READ

    def _mapreduce(self, operation: Operation) -> Operation:
        self._touch(self._argument, _READ)
        out = self._document.get("out")
        if isinstance(out, dict):
            out = next((out[name] for name in ("replace", "merge", "reduce") if name in out), None)
        self._touch(out, _WRITE)
        return operation

    def _renamecollection(self, operation: Operation) -> Operation:
        self._touch(self._argument, operation)
        self._touch(self._document.get("to"), operation)
        return operation

    def _hello(self, operation: Operation) -> Operation:
        return _EXECUTE if "speculativeAuthenticate" in self._document else operation

    _ismaster = _hello

    def _validate(self, operation: Operation) -> Operation:
        self._touch(self._argument, operation)
        return _ADMIN if self._document.get("repair") or self._document.get("fixMultikey") else operation

    def _profile(self, operation: Operation) -> Operation:
        return _READ if self._argument == -1 and len(self._document.keys() - GENERIC) == 1 else operation

    def _getparameter(self, operation: Operation) -> Operation:
        return operation

    def _roles(self, operation: Operation) -> Operation:
        roles = self._document.get("roles")
        names = {each.get("role", "") if isinstance(each, dict) else each for each in _items(roles)}
        return _ADMIN if names & MIGHTY_ROLES else operation

    _createuser = _updateuser = _grantrolestouser = _createrole = _updaterole = _grantrolestorole = _roles

    def _dropdatabase(self, operation: Operation) -> Operation:
        self._touch(self._database, operation)
        return operation


def _items(value: Any) -> list[Any]:
    return [each for each in value if isinstance(each, str | dict)] if isinstance(value, list) else []


def _documents(value: Any) -> list[Document]:
    """A list of documents. Raises _NotUnderstoodError."""
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise _NotUnderstoodError
    return value


def _part(body: Any, name: str) -> Any:
    value = body.get(name) if isinstance(body, dict) else None
    return value.get("coll") if isinstance(value, dict) else value


def _target(body: Any) -> Any:
    """The collection that $out or $merge names: a name, {into}, {coll}, {db, coll}."""
    into = body.get("into", body) if isinstance(body, dict) else body
    return into.get("coll") if isinstance(into, dict) else into
