"""What Redis commands do: inline text as `redis-cli` takes it (one command a line), RESP arrays, or lists of words.

The order is Redis's own where it has one: what its ACL marks @admin is admin here too. Taking an element off a list
or a set deletes it. Scripts run on the server. Logging in changes whose rights are used. EXEC runs what was queued.
"""

import json
import re
from collections.abc import Callable, Sequence
from typing import Final

from policy.fingerprints import shape_of
from policy.model import Classified, ObjectAccess, Operation, worse
from policy.redis_commands import COMMANDS, CONTAINERS, COUNTED, KEYS, MODULE_COMMANDS, TARGET_FIRST

_READ, _WRITE, _DELETE, _DDL, _GRANT, _EXECUTE, _ADMIN = Operation
UNKNOWN: Final = Classified(_ADMIN, is_unknown=True)
MAX_COMMANDS: Final = 10_000
MAX_KEYS: Final = 200
_SORTS: Final = frozenset({"SORT", "GEORADIUS", "GEORADIUSBYMEMBER"})
_TRANSACTION: Final = frozenset({"MULTI", "EXEC", "DISCARD", "WATCH", "UNWATCH"})
_ESCAPES: Final = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "a": "\a"}
_BREAK: Final = re.compile(r"[\r\n]+")


class _MalformedError(ValueError):
    """Text that Redis would not take either."""


def classify_redis(statement: str) -> Classified:
    """Classify one command or several. Malformed text and commands nobody knows are unknown."""
    try:
        commands = _read(statement)
    except ValueError:
        return UNKNOWN
    operation = _READ
    objects: dict[str, Operation] = {}
    is_unknown = len(commands) > MAX_COMMANDS
    for words in commands[:MAX_COMMANDS]:
        found = command_operation(words)
        is_unknown |= found is None
        operation = worse(operation, found or _ADMIN)
        for key, access in _keys_of(words, found or _ADMIN).items():
            objects[key] = worse(objects.get(key, _READ), access)
    is_unknown |= len(objects) > MAX_KEYS
    return Classified(
        _ADMIN if is_unknown else operation,
        tuple(ObjectAccess(name, access) for name, access in list(objects.items())[:MAX_KEYS]),
        shape_of(" ".join([words[0].upper(), *("?" for _ in words[1:])]) for words in commands),
        is_multi=len(commands) > 1,
        is_transaction=bool(commands) and all(words[0].upper() in _TRANSACTION for words in commands),
        is_unknown=is_unknown,
    )


def _read(text: str) -> list[list[str]]:
    """Commands as RESP, as a JSON list of words, or as lines. Raises ValueError."""
    if text.startswith("*"):
        return _read_resp(text)
    if not text.lstrip().startswith("["):
        return _read_inline(text)
    words = json.loads(text)
    if not isinstance(words, list) or not words or not all(isinstance(word, str | int | float) for word in words):
        raise _MalformedError
    return [[str(word) for word in words]]


def command_operation(words: Sequence[str]) -> Operation | None:
    """What one command does; None when nobody knows it."""
    name = words[0].upper()
    rest = [word.upper() for word in words[1:]]
    if name in _BY_ARGUMENTS:
        return _BY_ARGUMENTS[name](rest)
    if name in CONTAINERS:
        return CONTAINERS[name].get(rest[0] if rest else "")
    if name in COMMANDS:
        return COMMANDS[name]
    if "." in name:  # of a module
        return MODULE_COMMANDS.get(name)
    return None


def _keys_of(words: Sequence[str], operation: Operation) -> dict[str, Operation]:
    """The keys a command names, and what it does to each: where one is the target, the others are only read."""
    name = words[0].upper()
    if name in COUNTED:
        at = COUNTED[name]
        count = int(words[at]) if at < len(words) and re.fullmatch(r"[0-9]{1,6}", words[at]) else 0
        keys = list(words[at + 1 : at + 1 + count])
        keys = [words[1], *keys] if name in TARGET_FIRST and len(words) > 1 else keys
    else:
        first, last, step = KEYS.get(name, (1, 1, 1))
        keys = list(words[first : len(words) + 1 + last if last < 0 else last + 1 : step]) if first else []
    found = dict.fromkeys(keys, _READ if name in TARGET_FIRST | _SORTS | {"COPY"} else operation)
    upper = [word.upper() for word in words]
    if name == "XREAD" or name == "XREADGROUP":
        streams = words[upper.index("STREAMS") + 1 :] if "STREAMS" in upper else []
        return dict.fromkeys(streams[: len(streams) // 2], operation)
    targets = keys[:1] if name in TARGET_FIRST else keys[1:2] if name == "COPY" else []
    for option in ("STORE", "STOREDIST"):
        if name in _SORTS and option in upper[2:-1]:
            targets.append(words[upper.index(option, 2) + 1])
    return found | dict.fromkeys(targets, operation)


def _expire(rest: Sequence[str]) -> Operation:
    """A time that is over deletes at once."""
    try:
        return _DELETE if int(rest[1]) <= 0 else _WRITE
    except (IndexError, ValueError):
        return _WRITE


def _client(rest: Sequence[str]) -> Operation:
    harmless = "ID INFO GETNAME SETNAME SETINFO HELP REPLY NO-TOUCH TRACKING TRACKINGINFO CACHING GETREDIR".split()
    return _READ if rest and rest[0] in harmless else _ADMIN


def _acl(rest: Sequence[str]) -> Operation:
    return _READ if rest and rest[0] in ("WHOAMI", "CAT", "GENPASS", "HELP", "DRYRUN") else _ADMIN


_BY_ARGUMENTS: Final[dict[str, Callable[[Sequence[str]], Operation]]] = {
    "SORT": lambda rest: _WRITE if "STORE" in rest[1:] else _READ,
    "GEORADIUS": lambda rest: _WRITE if {"STORE", "STOREDIST"} & set(rest[1:]) else _READ,
    "GEORADIUSBYMEMBER": lambda rest: _WRITE if {"STORE", "STOREDIST"} & set(rest[1:]) else _READ,
    "BITFIELD": lambda rest: _WRITE if {"SET", "INCRBY"} & set(rest[1:]) else _READ,
    "GETEX": lambda rest: _WRITE if rest[1:] else _READ,
    "HGETEX": lambda rest: _WRITE,
    "EXPIRE": _expire,
    "PEXPIRE": _expire,
    "EXPIREAT": _expire,
    "PEXPIREAT": _expire,
    "HELLO": lambda rest: _EXECUTE if "AUTH" in rest else _READ,
    "CLIENT": _client,
    "ACL": _acl,
    "COMMAND": lambda rest: _READ,
}


def _read_inline(text: str) -> list[list[str]]:
    """Commands as lines of words. Raises _MalformedError."""
    found = [words for line in _BREAK.split(text) if (words := split_words(line))]
    if any(not words[0] for words in found):
        raise _MalformedError
    return found


def split_words(line: str) -> list[str]:
    """The words of a line, quoted as Redis does (sdssplitargs). Raises ValueError for quotes that do not close."""
    words: list[str] = []
    at = 0
    while at < len(line):
        if line[at] in " \t\0\v\f":
            at += 1
            continue
        word, at = _read_word(line, at)
        words.append(word)
    return words


def _read_word(line: str, at: int) -> tuple[str, int]:
    out: list[str] = []
    while at < len(line) and line[at] not in " \t\0\v\f":
        quote = line[at]
        if quote not in "\"'":
            out.append(quote)
            at += 1
            continue
        text, at = _read_quoted(line, at + 1, quote)
        out.append(text)
        if at < len(line) and line[at] not in " \t\0\v\f":
            raise _MalformedError  # a closing quote must end the word
    return "".join(out), at


def _read_quoted(line: str, at: int, quote: str) -> tuple[str, int]:
    out: list[str] = []
    while at < len(line):
        here = line[at]
        if here == quote:
            return "".join(out), at + 1
        if here == "\\" and at + 1 < len(line):
            following = line[at + 1]
            if quote == "'":
                out.append("'" if following == "'" else "\\" + following)
                at += 2
                continue
            digits = line[at + 2 : at + 4]
            if following == "x" and re.fullmatch(r"[0-9a-fA-F]{2}", digits):
                out.append(chr(int(digits, 16)))
                at += 4
            else:
                out.append(_ESCAPES.get(following, following))
                at += 2
            continue
        out.append(here)
        at += 1
    raise _MalformedError


_HEAD: Final = re.compile(r"\*(\d{1,7})\r?\n")
_BULK: Final = re.compile(r"\$(\d{1,9})\r?\n")


def _read_resp(text: str) -> list[list[str]]:
    """Commands as RESP arrays of bulk strings; lengths count bytes. Raises _MalformedError."""
    data = text.encode("utf-8", "surrogateescape").decode("latin-1")
    commands, at = [], 0
    while at < len(data):
        head = _HEAD.match(data, at)
        if head is None or not int(head[1]):
            raise _MalformedError
        words, at = [], head.end()
        for _ in range(int(head[1])):
            bulk = _BULK.match(data, at)
            if bulk is None or bulk.end() + int(bulk[1]) > len(data):
                raise _MalformedError
            end = bulk.end() + int(bulk[1])
            words.append(data[bulk.end() : end].encode("latin-1").decode("utf-8", "replace"))
            at = end + (2 if data.startswith("\r\n", end) else data.startswith("\n", end))
        commands.append(words)
    return commands
