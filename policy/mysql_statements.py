"""What each kind of MySQL statement does by itself, by its first words."""

import itertools
from collections.abc import Sequence
from typing import Final

from policy.model import Operation
from policy.mysql_lexer import NUMBER, STRING, SYMBOL, WORD, Token

_READ, _WRITE, _DELETE, _DDL, _GRANT, _EXECUTE, _ADMIN = Operation

QUERIES: Final = frozenset("SELECT WITH TABLE VALUES INSERT REPLACE UPDATE DELETE".split())
"""Statements that sqlglot must understand too."""

_HEADS: Final[dict[str, Operation]] = {
    **dict.fromkeys(
        "SELECT WITH TABLE VALUES SHOW USE BEGIN ROLLBACK SAVEPOINT RELEASE UNLOCK HANDLER DEALLOCATE SIGNAL RESIGNAL"
        " GET HELP CHECKSUM XA PREPARE SET EXPLAIN DESCRIBE DESC START".split(),
        _READ,
    ),
    **dict.fromkeys("INSERT UPDATE COMMIT LOCK".split(), _WRITE),
    **dict.fromkeys("DELETE TRUNCATE REPLACE".split(), _DELETE),
    **dict.fromkeys("CREATE ALTER DROP RENAME".split(), _DDL),
    **dict.fromkeys("GRANT REVOKE".split(), _GRANT),
    **dict.fromkeys("CALL DO EXECUTE LOAD IMPORT".split(), _EXECUTE),
    **dict.fromkeys(
        "FLUSH RESET PURGE KILL SHUTDOWN RESTART CHANGE STOP INSTALL UNINSTALL CLONE BINLOG CACHE OPTIMIZE REPAIR CHECK"
        " ANALYZE BACKUP".split(),
        _ADMIN,
    ),
}
_OBJECTS: Final = {
    **dict.fromkeys("USER ROLE".split(), _GRANT),
    "EVENT": _EXECUTE,  # code that the server runs by itself
    **dict.fromkeys("SERVER TABLESPACE UNDO LOGFILE RESOURCE INSTANCE".split(), _ADMIN),
}
_KNOWN_OBJECTS: Final = frozenset(
    "TABLE TABLES VIEW DATABASE SCHEMA INDEX TRIGGER PROCEDURE FUNCTION SEQUENCE PACKAGE LIBRARY JSON".split()
)
_MODIFIERS: Final = frozenset(
    "OR REPLACE TEMPORARY UNIQUE FULLTEXT SPATIAL ONLINE OFFLINE ALGORITHM UNDEFINED MERGE TEMPTABLE SQL SECURITY"
    " INVOKER IF NOT EXISTS AGGREGATE IGNORE".split()
)
_HARMLESS_SETTINGS: Final = frozenset(
    "AUTOCOMMIT TIME_ZONE TRANSACTION_ISOLATION TX_ISOLATION TRANSACTION_READ_ONLY TX_READ_ONLY WAIT_TIMEOUT"
    " INTERACTIVE_TIMEOUT LOCK_WAIT_TIMEOUT INNODB_LOCK_WAIT_TIMEOUT MAX_EXECUTION_TIME MAX_STATEMENT_TIME"
    " NET_READ_TIMEOUT NET_WRITE_TIMEOUT GROUP_CONCAT_MAX_LEN SQL_SELECT_LIMIT MAX_JOIN_SIZE SORT_BUFFER_SIZE"
    " JOIN_BUFFER_SIZE READ_BUFFER_SIZE TMP_TABLE_SIZE MAX_HEAP_TABLE_SIZE LC_TIME_NAMES LC_MESSAGES OPTIMIZER_SWITCH"
    " OPTIMIZER_TRACE CTE_MAX_RECURSION_DEPTH DIV_PRECISION_INCREMENT PROFILING SQL_NOTES SQL_QUOTE_SHOW_CREATE"
    " TIMESTAMP RAND_SEED1 RAND_SEED2 CHARACTER_SET_RESULTS COLLATION_CONNECTION SESSION_TRACK_GTIDS LAST_INSERT_ID"
    " INSERT_ID SQL_AUTO_IS_NULL NET_BUFFER_LENGTH SQL_BIG_SELECTS SESSION_TRACK_SCHEMA EXPLAIN_FORMAT".split()
)
_LEXICAL_MODES: Final = (
    "ANSI",
    "BACKSLASH",
    "PIPES",
    "IGNORE_SPACE",
    "PRECEDENCE",
    "ORACLE",
    "MSSQL",
    "POSTGRESQL",
    "DB2",
)
_CHARSETS: Final = frozenset("UTF8 UTF8MB3 UTF8MB4 LATIN1 ASCII BINARY DEFAULT".split())


def statement_operation(tokens: Sequence[Token]) -> Operation | None:
    """What a statement does by its words, functions and inner statements apart; None for one that nobody knows."""
    words = [token.text if token.kind == WORD else "" for token in tokens[:400]]
    head = words[0] if words else ""
    special = _BY_HEAD.get(head)
    if special is not None:
        return special(words, tokens)
    return _HEADS.get(head)


def _create(words: Sequence[str], tokens: Sequence[Token]) -> Operation | None:
    """CREATE, ALTER, DROP: by the object, the first word that is no modifier and not the definer's name."""
    if words[:2] == ["DROP", "PREPARE"]:
        return _READ
    at = 1
    while at < len(words) and (words[at] in _MODIFIERS or not words[at] or words[at - 1] in ("DEFINER",)):
        at += 1
    if at < len(words) and words[at] == "DEFINER":
        return _GRANT if "EVENT" not in words else _EXECUTE  # runs with somebody else's rights
    what = words[at] if at < len(words) else ""
    if what not in _KNOWN_OBJECTS and what not in _OBJECTS:
        return None
    operation = _OBJECTS.get(what, _DDL)
    if "SONAME" in words:
        return _EXECUTE
    reaches_out = any(pair in itertools.pairwise(words) for pair in _FILES)
    if reaches_out or "CONNECTION" in words[at:] or "FEDERATED" in words or "CONNECT" in words[at + 1 :]:
        return _EXECUTE if operation.rank < _EXECUTE.rank else operation
    return operation


_FILES: Final = (("DATA", "DIRECTORY"), ("INDEX", "DIRECTORY"), ("IMPORT", "TABLESPACE"))


def _rename(words: Sequence[str], tokens: Sequence[Token]) -> Operation:
    return _GRANT if words[1:2] == ["USER"] else _DDL


def _start(words: Sequence[str], tokens: Sequence[Token]) -> Operation:
    return _READ if words[1:2] == ["TRANSACTION"] else _ADMIN


def _begin(words: Sequence[str], tokens: Sequence[Token]) -> Operation:
    return _EXECUTE if words[1:3] == ["NOT", "ATOMIC"] else _READ


def _lock(words: Sequence[str], tokens: Sequence[Token]) -> Operation:
    return _ADMIN if words[1:2] == ["INSTANCE"] else _WRITE


def _delete(words: Sequence[str], tokens: Sequence[Token]) -> Operation | None:
    return _DELETE if "FROM" in words else None


def _xa(words: Sequence[str], tokens: Sequence[Token]) -> Operation:
    return _WRITE if words[1:2] in (["COMMIT"], ["PREPARE"], ["ROLLBACK"]) else _READ


def _with(words: Sequence[str], tokens: Sequence[Token]) -> Operation | None:
    """The statement after the common table expressions: the first verb outside parentheses."""
    depth = 0
    for token in tokens:
        if token.kind == SYMBOL and token.text in "()":
            depth += 1 if token.text == "(" else -1
        elif depth == 0 and token.kind == WORD and token.text in QUERIES - {"WITH"}:
            return _HEADS[token.text]
    return None


def _set(words: Sequence[str], tokens: Sequence[Token]) -> Operation:
    """SET: what each part names. A part is `[scope] name = value`, @name = value, or a form of its own."""
    if words[1:2] == ["PASSWORD"] or words[1:3] == ["DEFAULT", "ROLE"]:
        return _GRANT
    if words[1:2] == ["ROLE"]:
        return _EXECUTE
    if words[1:2] == ["RESOURCE"] or words[1:2] == ["STATEMENT"]:
        return _ADMIN if words[1] == "RESOURCE" else _EXECUTE  # SET STATEMENT … FOR <any statement>
    if "TRANSACTION" in words[1:4] and "=" not in [token.text for token in tokens[:4]]:
        return _ADMIN if words[1] == "GLOBAL" else _READ
    if words[1:2] == ["NAMES"] or words[1:3] == ["CHARACTER", "SET"] or words[1:2] == ["CHARSET"]:
        value = tokens[3 if words[1] == "CHARACTER" else 2 :][:1]
        return _READ if value and value[0].text.upper() in _CHARSETS else _ADMIN
    return max((_assignment(part) for part in _parts(tokens[1:])), key=lambda found: found.rank, default=_READ)


def _parts(tokens: Sequence[Token]) -> list[list[Token]]:
    parts: list[list[Token]] = [[]]
    depth = 0
    for token in tokens:
        if token.kind == SYMBOL and token.text in "()":
            depth += 1 if token.text == "(" else -1
        if token.kind == SYMBOL and token.text == "," and depth == 0:
            parts.append([])
        else:
            parts[-1].append(token)
    return [part for part in parts if part]


def _assignment(part: list[Token]) -> Operation:
    first = part[0].text.upper()
    if first.startswith("@") and not first.startswith("@@"):
        return _READ  # a variable of the user's own
    if first in ("GLOBAL", "PERSIST", "PERSIST_ONLY") or first.startswith(("@@GLOBAL", "@@PERSIST")):
        return _ADMIN
    name = first.rpartition(".")[2] if first.startswith("@@") else first
    name = name.lstrip("@")
    if first in ("SESSION", "LOCAL", "@@SESSION", "@@LOCAL") and len(part) > 1:
        name = next((token.text.upper() for token in part[1:] if token.kind == WORD), "")
    values = [token for token in part if token.kind in (STRING, NUMBER, WORD)][1:]
    if name == "SQL_MODE":
        is_plain = part[-1].kind == STRING and not any(mode in part[-1].text.upper() for mode in _LEXICAL_MODES)
        return _READ if is_plain and len(part) <= 4 else _ADMIN
    if name in ("CHARACTER_SET_CLIENT", "CHARACTER_SET_CONNECTION"):
        return _READ if values and values[-1].text.upper() in _CHARSETS else _ADMIN
    if name.startswith(("SQL_LOG", "GTID_NEXT", "PSEUDO_", "GENERAL_LOG", "DEBUG")):
        return _ADMIN
    return _READ if name in _HARMLESS_SETTINGS else _WRITE


def _explain(words: Sequence[str], tokens: Sequence[Token]) -> Operation | None:
    """EXPLAIN plans, EXPLAIN ANALYZE runs. `DESC t` shows columns."""
    is_run = "ANALYZE" in words[1:2]
    at = next((at for at, word in enumerate(words[1:], 1) if word in QUERIES), 0)
    if not is_run or not at:
        return _READ
    return statement_operation(tokens[at:])


def _analyze(words: Sequence[str], tokens: Sequence[Token]) -> Operation | None:
    """ANALYZE TABLE, or MariaDB's ANALYZE of a statement, which runs it."""
    if "TABLE" in words[1:3] or "TABLES" in words[1:3]:
        return _ADMIN
    at = next((at for at, word in enumerate(words[1:], 1) if word in QUERIES), 0)
    return statement_operation(tokens[at:]) if at else _ADMIN


_BY_HEAD: Final = {
    "CREATE": _create,
    "ALTER": _create,
    "DROP": _create,
    "RENAME": _rename,
    "START": _start,
    "BEGIN": _begin,
    "LOCK": _lock,
    "DELETE": _delete,
    "XA": _xa,
    "WITH": _with,
    "SET": _set,
    "EXPLAIN": _explain,
    "DESCRIBE": _explain,
    "DESC": _explain,
    "ANALYZE": _analyze,
}
