"""What HTTP, SQL, Redis and copying clients do on a command line, by what they send and where they write it."""

import re
from collections.abc import Callable, Sequence
from typing import Final

from policy.model import Operation, worse
from policy.mysql import classify_mysql
from policy.postgres import classify_postgres
from policy.redis import command_operation
from policy.shell_options import Frame, Handler, has_option, split_options
from policy.shell_words import Word

_READ, _WRITE, _DELETE, _DDL, _GRANT, _EXECUTE, _ADMIN = Operation


_METHODS: Final = {"GET": _READ, "HEAD": _READ, "OPTIONS": _READ, "DELETE": _DELETE}
_CURL_FLAGS_WITH_VALUE: Final = "AbcCdDeEFhHKmoPQrTtuUwxXyYz"


def _curl(frame: Frame, arguments: list[Word]) -> Operation:
    operation = _READ
    is_get = any(word.text in ("-G", "--get", "-I", "--head") for word in arguments)
    at = 0
    while at < len(arguments):
        option, value, used = _curl_option(arguments, at)
        at += used
        operation = worse(operation, _curl_effect(frame, option, value, is_get=is_get))
    return operation


def _curl_option(arguments: Sequence[Word], at: int) -> tuple[str, str, int]:
    """(option, its value, words used): long, short, or short ones in a cluster, of which the last may take a value."""
    text = arguments[at].text
    following = arguments[at + 1].text if at + 1 < len(arguments) else ""
    if text.startswith("--"):
        name, separator, value = text.partition("=")
        return (
            name,
            value if separator else following,
            1,
        )  # a value that follows is looked at as an address, which does no harm
    if not text.startswith("-") or len(text) < 2:
        return "", text, 1
    for index, letter in enumerate(text[1:], 2):
        if letter in _CURL_FLAGS_WITH_VALUE:
            attached = text[index:]
            return (
                "-" + letter + ("O" if "O" in text[1 : index - 1] else ""),
                attached or following,
                1 if attached else 2,
            )
    return "-O" if "O" in text else text, "", 1


def _curl_effect(frame: Frame, option: str, value: str, *, is_get: bool) -> Operation:
    match option:
        case "-X" | "--request":
            return _METHODS.get(value.upper(), _WRITE)
        case "-d" | "--data" | "--data-raw" | "--data-binary" | "--data-urlencode" | "--data-ascii" | "--json":
            return _READ if is_get else _WRITE
        case "-F" | "--form" | "--form-string" | "-T" | "--upload-file" | "--url-query" if option != "--url-query":
            return _WRITE
        case (
            "-o"
            | "--output"
            | "-D"
            | "--dump-header"
            | "-c"
            | "--cookie-jar"
            | "--trace"
            | "--trace-ascii"
            | "--stderr"
        ):
            return frame.touch(value, _WRITE)
        case "-O" | "--remote-name" | "--remote-name-all" | "-J" | "--remote-header-name" | "--output-dir":
            return _WRITE
        case "-K" | "--config" | "-Q" | "--quote" | "--unix-socket" | "--abstract-unix-socket" | "--engine":
            return _EXECUTE
        case "" if re.match(r"(?i)(?:gopher|telnet|dict|ldaps?|smb|smtps?|scp|sftp|ftp|rtsp|mqtt)://", value):
            return _EXECUTE
        case _ if option.endswith("O") and len(option) == 3:
            return _WRITE
    return _READ


def _wget(frame: Frame, arguments: list[Word]) -> Operation:
    texts = [word.text for word in arguments]
    if any(text.startswith(("-i", "--use-askpass", "-e", "--execute", "--config")) for text in texts):
        return _EXECUTE
    for at, text in enumerate(texts):
        if text.startswith("--method="):
            return worse(_WRITE, _METHODS.get(text[9:].upper(), _WRITE))
        if text == "--method":
            return worse(_WRITE, _METHODS.get((texts[at + 1 : at + 2] or [""])[0].upper(), _WRITE))
    if any(text.startswith(("--post-", "--body-")) for text in texts):
        return _WRITE
    if "--spider" in texts or "--version" in texts:
        return _READ
    for at, text in enumerate(texts):
        match = re.fullmatch(r"(?:-[a-zA-NP-Z]*O|--output-document=?)(.*)", text)
        if match:
            return frame.touch(match[1] or (texts[at + 1 : at + 2] or [""])[0], _WRITE)
    return _WRITE


def _httpie(frame: Frame, arguments: list[Word]) -> Operation:
    words, options = split_options(arguments, "-o --output -a --auth")
    if has_option(options, "-o", "--output", "-d", "--download"):
        return _WRITE
    texts = [word.text for word in words]
    if texts and texts[0].isalpha() and texts[0].isupper():
        return _METHODS.get(texts[0], _WRITE)
    return _WRITE if any(re.search(r"[^=:!<>]:?=[^=]|@", text) and "://" not in text for text in texts[1:]) else _READ


# -- SQL and Redis clients


def _sql(classify: Callable[[str], Operation], command_options: str, file_options: str, cluster: str) -> Handler:
    """`cluster`: short options of which the last takes the text, attached or as the next word."""

    def handle(frame: Frame, arguments: list[Word]) -> Operation:
        operation, has_text = _READ, False
        for at, word in enumerate(arguments):
            name, separator, attached = word.text.partition("=")
            if name in file_options.split():
                return _EXECUTE
            if name in command_options.split() and name.startswith("-"):
                value = Word(attached, word.is_static) if separator else (arguments[at + 1 : at + 2] or [Word("")])[0]
                has_text = True
                operation = worse(operation, classify(value.text) if value.is_static else _ADMIN)
            elif match := re.fullmatch(cluster, word.text, re.DOTALL):
                value = Word(match[1], word.is_static) if match[1] else (arguments[at + 1 : at + 2] or [Word("")])[0]
                has_text = True
                operation = worse(operation, classify(value.text) if value.is_static else _ADMIN)
            elif word.text in ("-l", "--list", "--version", "-V", "--help"):
                has_text = True
        return operation if has_text else _EXECUTE  # what is typed or piped in is not seen

    return handle


def _psql_text(text: str) -> Operation:
    if text.lstrip().startswith("\\"):
        return (
            _READ
            if re.fullmatch(r"\s*\\(?:d[a-zA-Z+]*|l\+?|z|conninfo|encoding|timing)(?:\s+[\w.*\"]+)?\s*", text)
            else _EXECUTE
        )
    return classify_postgres(text).operation


def _sqlite(frame: Frame, arguments: list[Word]) -> Operation:
    """sqlite3 FILE SQL: its functions that reach files are in no list, its dot commands run things."""
    words, options = split_options(arguments, "-separator -cmd -init -nullvalue -newline -vfs")
    if len(words) < 2 or has_option(options, "-cmd", "-init"):
        return _READ if has_option(options, "-version", "--version") else _EXECUTE
    text = words[1]
    if not text.is_static or len(words) > 2:
        return _ADMIN
    if text.text.lstrip().startswith("."):
        return (
            _READ if re.fullmatch(r"\s*\.(?:tables|schema|databases|indexes|indices)\b[\w\s]*", text.text) else _EXECUTE
        )
    return classify_postgres(text.text).operation


def _redis_cli(frame: Frame, arguments: list[Word]) -> Operation:
    values = "-h -p -s -a -u --user --pass -r -i -n -d -D --cert --key --cacert --sni -t".split()
    at = 0
    while at < len(arguments) and arguments[at].is_option:
        word = arguments[at].text
        if word in (
            "--eval",
            "--pipe",
            "--rdb",
            "--functions-rdb",
            "--cluster",
            "--replica",
            "-x",
            "-X",
            "--memkeys-samples",
        ):
            return _EXECUTE if word != "--cluster" else _ADMIN
        if word in ("--scan", "--bigkeys", "--memkeys", "--hotkeys", "--stat", "--latency", "--version", "--help"):
            return _READ
        at += 2 if word in values else 1
    words = [word.text for word in arguments[at:]]
    if not words:
        return _EXECUTE
    return command_operation(words) or _ADMIN


_PSQL_CLUSTER: Final = r"-[tAqXaebEnsSwWxz01lH]*c(.*)"
_MYSQL_CLUSTER: Final = r"-[sNBrtvbfnqCcEHAw]*e(.*)"


def _copying(runs: str, deletes: str, values: str) -> Handler:
    """rsync, scp: files between machines. `runs`: options that name a program or its settings."""
    running, deleting = re.compile(runs), re.compile(deletes or "$^")

    def handle(frame: Frame, arguments: list[Word]) -> Operation:
        words, options = split_options(arguments, values)
        texts = [word.text for word in arguments]
        # Over to another machine is by its shell.
        if any(running.match(text) for text in texts) or any(":" in word.text for word in words):
            return _EXECUTE
        target = frame.touch(words[-1].text, _WRITE) if words else _WRITE
        return worse(target, _DELETE if any(deleting.match(option.text) for option in options) else _WRITE)

    return handle


CLIENTS: Final[dict[str, Handler]] = {
    "curl": _curl,
    "wget": _wget,
    "http": _httpie,
    "https": _httpie,
    "xh": _httpie,
    "psql": _sql(_psql_text, "-c --command", "-f --file -o --output -L --log-file", _PSQL_CLUSTER),
    "mysql": _sql(lambda text: classify_mysql(text).operation, "-e --execute", "--tee --pager", _MYSQL_CLUSTER),
    "mariadb": _sql(lambda text: classify_mysql(text).operation, "-e --execute", "--tee --pager", _MYSQL_CLUSTER),
    "sqlite3": _sqlite,
    "rsync": _copying(
        r"-[a-zA-Z]*[eM]|--(?:rsh|rsync-path|remote-option|daemon|config|dparam|files-from|write-batch|read-batch)",
        r"--(?:del|remove)",
        "-f --filter --exclude --include -T --temp-dir --backup-dir --log-file -B",
    ),
    "scp": _copying(r"-[a-zA-Z]*[SoFDJ]", "", "-c -i -l -P -X"),
    "redis-cli": _redis_cli,
    "valkey-cli": _redis_cli,
}
