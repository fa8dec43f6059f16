"""What MySQL and MariaDB statements do: words and functions from a lexer of our own, structure from sqlglot.

sqlglot drops executable comments and knows no SQL modes, so it is given what the lexer made of the text, with all
values blanked. Every way in which a server might read the text is read; the most dangerous one counts.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from policy.fingerprints import shape_of
from policy.model import Classified, ObjectAccess, Operation, worse
from policy.mysql_functions import KEYWORDS, function_operation
from policy.mysql_lexer import NAME, STRING, SYMBOL, WORD, LexicalError, Token, readings_of, tokenize
from policy.mysql_objects import read_names
from policy.mysql_statements import QUERIES, statement_operation

_READ, _WRITE, _DELETE, _DDL, _GRANT, _EXECUTE, _ADMIN = Operation
UNKNOWN: Final = Classified(_ADMIN, is_unknown=True)
MAX_CHARS: Final = 256 * 1024
MAX_TOKENS: Final = 5_000
"""Most tokens that sqlglot is given, runs of equal rows and list items counted once."""
MAX_OBJECTS: Final = 200
MAX_TEXT_DEPTH: Final = 3
_CALLERS: Final = frozenset(
    "INTO TABLE REFERENCES INDEX KEY AS WITH RECURSIVE IGNORE INSERT REPLACE LOW_PRIORITY".split()
)
_SYSTEM_SCHEMAS: Final = ("mysql.", "sys.", "performance_schema.", "information_schema.")
_MODIFIERS: Final = frozenset({"LOW_PRIORITY", "HIGH_PRIORITY", "DELAYED", "QUICK"})
_ROUTINES: Final = frozenset({"PROCEDURE", "FUNCTION", "TRIGGER", "EVENT", "PACKAGE"})


@dataclass(slots=True)
class _Found:
    """What one reading of the text gives."""

    operation: Operation = _READ
    objects: dict[str, Operation] = field(default_factory=dict)
    columns: dict[str, None] = field(default_factory=dict)
    shape: list[str] = field(default_factory=list)
    statements: int = 0
    transactions: int = 0
    has_where: bool = False
    lacks_where: bool = False
    is_unknown: bool = False

    def touch(self, name: str, access: Operation) -> None:
        if name:
            self.objects[name] = worse(self.objects.get(name, _READ), access)


def classify_mysql(statement: str, *, depth: int = 0) -> Classified:
    """Classify one statement or several; anything not understood is unknown, which is the most dangerous."""
    if len(statement) > MAX_CHARS or "\0" in statement or depth > MAX_TEXT_DEPTH:
        return UNKNOWN
    try:
        readings = readings_of(statement)
    except LexicalError:
        return UNKNOWN
    found = []
    for reading in readings:
        try:
            found.append(_read(list(tokenize(statement, reading)), depth))
        except (LexicalError, RecursionError):
            continue
    # A server that cannot read the text refuses it; but somebody must be able to.
    return _merge([each for each in found if not each.is_unknown]) if found and not found[0].is_unknown else UNKNOWN


def _merge(found: list[_Found]) -> Classified:
    objects: dict[str, Operation] = {}
    for each in found:
        for name, access in each.objects.items():
            objects[name] = worse(objects.get(name, _READ), access)
    lacks_where = any(each.lacks_where for each in found)
    is_unknown = any(each.is_unknown for each in found) or len(objects) > MAX_OBJECTS
    return Classified(
        _ADMIN if is_unknown else worse(_READ, *(each.operation for each in found)),
        tuple(ObjectAccess(name, access) for name, access in list(objects.items())[:MAX_OBJECTS]),
        "" if is_unknown else shape_of(part for each in found for part in each.shape),
        is_multi=any(each.statements > 1 for each in found),
        has_where=any(each.has_where for each in found) and not lacks_where,
        lacks_where=lacks_where,
        is_transaction=all(each.statements == each.transactions > 0 for each in found),
        is_unknown=is_unknown,
        columns=tuple(found[0].columns),
    )


def _read(tokens: list[Token], depth: int) -> _Found:
    """One reading: statement by statement."""
    found = _Found()
    is_routine = False
    for statement in _split(tokens):
        found.statements += 1
        operation = _statement_operation(statement, found, depth)
        if operation is None:
            # Within a routine's body stand words that begin no statement of their own.
            found.is_unknown |= not is_routine
            continue
        found.operation = worse(found.operation, operation)
        head = [token.text for token in statement[:12] if token.kind == WORD] or [""]
        found.transactions += head[0] in ("COMMIT", "ROLLBACK", "BEGIN", "SAVEPOINT", "RELEASE") and operation in (
            _READ,
            _WRITE,
        )
        is_routine |= head[:3] == ["BEGIN", "NOT", "ATOMIC"] or (
            head[0] in ("CREATE", "ALTER") and bool(_ROUTINES & set(head))
        )
        found.shape.append(_render(statement))
    return found


def _split(tokens: list[Token]) -> Iterator[list[Token]]:
    statement: list[Token] = []
    for token in tokens:
        if token.kind == SYMBOL and token.text == ";":
            if statement:
                yield statement
            statement = []
        else:
            statement.append(token)
    if statement:
        yield statement


def _statement_operation(tokens: list[Token], found: _Found, depth: int) -> Operation | None:
    """What one statement does; None when it is not understood."""
    opened = 0  # (SELECT …) UNION …
    while opened < len(tokens) - 1 and tokens[opened].kind == SYMBOL and tokens[opened].text == "(":
        opened += 1
    operation = statement_operation(tokens[opened:])
    if operation is None:
        return None
    head = tokens[opened].text
    words = {token.text for token in tokens if token.kind == WORD}
    if head == "PREPARE" or (head == "EXECUTE" and "IMMEDIATE" in words):
        operation = worse(operation, _prepared(tokens, found, depth))
    if head not in ("GRANT", "REVOKE") and not (head in ("CREATE", "ALTER", "DROP") and _ROUTINES & words):
        operation = worse(operation, _functions(_evaluated(tokens), found))
    if {"OUTFILE", "DUMPFILE"} & words:
        operation = worse(operation, _EXECUTE)
    if head in QUERIES and _locks(tokens):
        operation = worse(operation, _WRITE)
    is_query = head in QUERIES or (
        head in ("EXPLAIN", "DESCRIBE", "DESC", "ANALYZE", "CREATE") and bool(QUERIES & words)
    )
    if is_query and _structure(tokens, found, operation):
        return operation
    for name, access in read_names(tokens, operation):
        found.touch(name, access)
    # What sqlglot does not take but the words show to be dangerous is known well enough.
    return operation if head not in QUERIES or operation.rank >= _EXECUTE.rank else None


def _locks(tokens: Sequence[Token]) -> bool:
    texts = [token.text for token in tokens if token.kind == WORD]
    pairs = set(itertools.pairwise(texts))
    return bool(pairs & {("FOR", "UPDATE"), ("FOR", "SHARE"), ("LOCK", "IN")})


def _prepared(tokens: list[Token], found: _Found, depth: int) -> Operation:
    """The statement that a text holds; a computed one could be any."""
    if tokens[-1].kind == NAME:
        found.is_unknown = True  # where a double quote is a name, this is no statement
        return _READ
    if len(tokens) < 3 or tokens[-1].kind != STRING or tokens[-2].text not in ("FROM", "IMMEDIATE"):
        return _ADMIN
    inner = classify_mysql(tokens[-1].text.replace("''", "'"), depth=depth + 1)
    for item in inner.objects:
        found.touch(item.name, item.access)
    return inner.operation


def _evaluated(tokens: list[Token]) -> list[Token]:
    """The part of a statement in which functions are called: of CREATE TABLE and the like, the query."""
    if tokens[0].text not in ("CREATE", "ALTER", "DROP", "LOCK", "RENAME", "TRUNCATE"):
        return tokens
    is_view = any(token.text == "VIEW" for token in tokens[:20])
    at = next((at for at, token in enumerate(tokens) if token.kind == WORD and token.text in ("SELECT", "WITH")), 0)
    return tokens[at:] if at and not is_view else []


def _functions(tokens: Sequence[Token], found: _Found) -> Operation:
    """The worst of the functions that are called, by name."""
    operation = _READ
    for at in range(len(tokens) - 1):
        name, following = tokens[at], tokens[at + 1]
        if name.kind not in (WORD, NAME) or following.kind != SYMBOL or following.text != "(":
            continue
        start = at
        while start >= 2 and tokens[start - 1].text == "." and tokens[start - 1].kind == SYMBOL:
            start -= 2
        before = tokens[start - 1] if start else Token(SYMBOL, ";")
        if name.kind == WORD and name.text in KEYWORDS and start == at:
            continue
        if before.kind == WORD and before.text in _CALLERS and (before.text != "AS" or start == at):
            continue
        if _follows_list(tokens, start):
            continue
        own = function_operation(name.text.upper(), is_qualified=start < at)
        if own is not _READ:
            operation = worse(operation, own)
            found.touch(".".join(token.name for token in tokens[start : at + 1 : 2]) + "()", _EXECUTE)
    return operation


def _follows_list(tokens: Sequence[Token], start: int) -> bool:
    """Whether a name stands where a further common table expression is named: `), name (a) AS`."""
    if start < 2 or tokens[start - 1].text != "," or tokens[start - 2].text != ")":
        return False
    depth = 0
    for at in range(start + 1, len(tokens)):
        if tokens[at].kind == SYMBOL and tokens[at].text in "()":
            depth += 1 if tokens[at].text == "(" else -1
            if depth == 0:
                return [token.text for token in tokens[at + 1 : at + 3]] == ["AS", "("]
    return False


def _structure(tokens: list[Token], found: _Found, operation: Operation) -> bool:
    """Objects, columns and WHERE from the syntax tree. False when sqlglot does not take the statement."""
    dropped = _MODIFIERS | {"IGNORE"} if tokens[0].text in ("DELETE", "UPDATE") else _MODIFIERS
    texts = _compact([token for token in tokens if token.kind != WORD or token.text not in dropped])
    if len(texts) > MAX_TOKENS:
        return False
    is_replace = tokens[0].text == "REPLACE"
    if is_replace:
        texts[0] = "INSERT"
    if tokens[0].text in ("EXPLAIN", "DESC", "DESCRIBE", "ANALYZE"):
        texts = texts[next(at for at, text in enumerate(texts) if text.upper() in QUERIES) :]
        operation = _READ if tokens[0].text != "ANALYZE" and tokens[1].text != "ANALYZE" else operation
    from policy.mysql_tree import parse_tree, read_tables  # loads sqlglot

    tree = parse_tree(" ".join(texts))
    if tree is None:
        return False
    tables = read_tables(tree, operation)
    for name, access in tables.accesses.items():
        if access is not _READ and name.lower().startswith(_SYSTEM_SCHEMAS):
            access = _ADMIN  # a row of these is a right, a plugin or a setting
            found.operation = _ADMIN
        found.touch(name, _DELETE if is_replace and access is _WRITE else access)
    found.columns.update(tables.columns)
    found.has_where |= tables.has_where
    found.lacks_where |= tables.lacks_where
    return True


def _compact(tokens: Sequence[Token]) -> list[str]:
    """Tokens as text for sqlglot: values blanked, of long runs of values and of equal rows only the first."""
    out: list[str] = []
    row, at = "", 0
    while at < len(tokens):
        end = _row_end(tokens, at)
        text = " ".join(_text(token) for token in tokens[at:end])
        if end > at + 1 and text == row and out[-1] == ",":
            out.pop()
        else:
            out.extend(_text(token) for token in tokens[at:end])
        row = text if end > at + 1 else row if out[-1] == "," else ""
        at = end
    return out


def _row_end(tokens: Sequence[Token], at: int) -> int:
    """The end of a row of nothing but values that begins here; else the next token."""
    if tokens[at].text != "(" or tokens[at].kind != SYMBOL:
        return at + 1
    for end in range(at + 1, len(tokens)):
        token = tokens[end]
        if token.kind == SYMBOL and token.text == ")":
            return end + 1 if end > at + 1 else at + 1
        if not token.is_literal and token.text != ",":
            break
    return at + 1


def _text(token: Token) -> str:
    match token.kind:
        case "string":
            return "'x'"
        case "number":
            return "0"
        case "name":
            return "`" + token.text + "`"
        case "word":
            return token.name
        case _:
            return token.text


def _render(tokens: Sequence[Token]) -> str:
    return " ".join(_compact(tokens))
