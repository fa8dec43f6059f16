"""Tools that read, unless an option makes them run something or write a file."""

import re
from collections.abc import Iterable
from typing import Final

from policy.model import Operation, worse
from policy.shell_options import Frame, Handler, option_values, short_values
from policy.shell_words import Word

_READ, _WRITE, _DELETE, _DDL, _GRANT, _EXECUTE, _ADMIN = Operation

_RUNNING: Final = re.compile(
    r"--(?:[\w-]+-)?(?:pager|program|command|exec|exec-batch|editor|hook|plugin|renderer|bin|pipe|filter|pre|shell)(?:=|$)"
)
_WRITING: Final = re.compile(r"--(?:output|output-file|outfile|out|log-file|logfile|dump-to|save)(?:=(.*)|$)")


def judge_options(frame: Frame, arguments: list[Word]) -> Operation:
    """What options do that are called alike in many tools: they name a program to run, or a file to write."""
    operation = _READ
    for at, word in enumerate(arguments):
        if _RUNNING.match(word.text):
            operation = worse(operation, _EXECUTE)
        elif (match := _WRITING.match(word.text)) is not None:
            following = arguments[at + 1].text if at + 1 < len(arguments) else ""
            operation = worse(operation, frame.touch(match[1] or following or "a file", _WRITE))
    return operation


def reading(
    *writes: str, runs: Iterable[str] = (), changes: Iterable[str] = (), files: int = -1, least: Operation = _READ
) -> Handler:
    """A command that reads.

    Options of `writes` name a file that it writes, those of `runs` make it run something, those of `changes` change the
    machine. From number `files` on, arguments that are no options are files that it writes. Short options count in a
    cluster, too.
    """
    running, changing = tuple(runs), tuple(changes)

    def handle(frame: Frame, arguments: list[Word]) -> Operation:
        operation = worse(least, judge_options(frame, arguments))
        if _has(arguments, running):
            operation = worse(operation, _EXECUTE)
        if _has(arguments, changing):
            operation = worse(operation, _ADMIN)
        targets = option_values(arguments, *(name for name in writes if name.startswith("--") or len(name) > 2))
        for name in (name for name in writes if len(name) == 2):
            targets += short_values(arguments, name[1])
        if files >= 0:
            targets += [word for word in arguments if not word.is_option][files:]
        return worse(operation, *(frame.touch(word.text, _WRITE) for word in targets))

    return handle


def _has(arguments: list[Word], names: tuple[str, ...]) -> bool:
    """Whether one of these options or words is there; a short option in a cluster, or with a value attached, too."""
    for word in arguments:
        if word.text.partition("=")[0] in names:
            return True
        is_cluster = re.match(r"-[A-Za-z0-9]", word.text) is not None
        if is_cluster and any(len(name) == 2 and name[1] in word.text for name in names if name.startswith("-")):
            return True
    return False


def _less(frame: Frame, arguments: list[Word]) -> Operation:
    """`+` begins a command of less's own, among them `!`, `|` and `s`."""
    runs = any(re.match(r"\++.*[!|#sv]", word.text) for word in arguments)
    return worse(_EXECUTE if runs else _READ, reading("-o", "-O", runs=("-k", "--lesskey-src"))(frame, arguments))


def _unless(pattern: str, operation: Operation) -> Handler:
    """A tool that reads when no argument is like this."""
    compiled = re.compile(pattern)
    return lambda frame, arguments: (
        operation if any(compiled.match(word.text) for word in arguments) else judge_options(frame, arguments)
    )


def _mapfile(frame: Frame, arguments: list[Word]) -> Operation:
    return worse(_READ, *(_text(frame, word) for word in short_values(arguments, "C")))


def _jobs(frame: Frame, arguments: list[Word]) -> Operation:
    if arguments and arguments[0].text == "-x":
        return frame.command(arguments[1:])
    return _READ


def _completion(frame: Frame, arguments: list[Word]) -> Operation:
    """`-C` names a command, `-F` a function, `-W` words that are expanded: run for each completion."""
    operation = _EXECUTE if _has(arguments, ("-F", "-W", "-E")) else _READ
    return worse(operation, *(worse(_EXECUTE, _text(frame, word)) for word in short_values(arguments, "C")))


def _packing(frame: Frame, arguments: list[Word]) -> Operation:
    """gzip and its like change files, unless they write to their output, test or list."""
    return _READ if _has(arguments, ("-c", "-t", "-l", "--stdout", "--to-stdout", "--test", "--list")) else _WRITE


def _text(frame: Frame, word: Word) -> Operation:
    return frame.script(word.text) if word.is_static else _ADMIN


def _ip(frame: Frame, arguments: list[Word]) -> Operation:
    """Its words may be shortened (`ip a a`), so that only those for reading are trusted, whole or short."""
    words = [word.text for word in arguments if not word.is_option]
    if any(re.match(r"-b(?:$|a)", word.text) for word in arguments):
        return _ADMIN  # a file of commands
    verb = words[1] if len(words) > 1 else "show"
    if not re.fullmatch(r"sh(?:ow?)?|l(?:s|st|i|is|ist)?|g(?:e|et)?|help|save|monitor|stats|dev|to|\d[\w.:/]*", verb):
        return _ADMIN
    return _ADMIN if words[:1] and "monitor".startswith(words[0]) and "file" in words else _READ


READERS: Final[dict[str, Handler]] = {
    "sort": reading("-o", "--output", runs=("--compress-program",)),
    "tree": reading("-o"),
    "uniq": reading(files=1),
    "xxd": reading(files=1),
    "sdiff": reading("-o"),
    "file": reading(runs=("-C", "--compile")),
    "iconv": reading("-o"),
    "shuf": reading("-o"),
    "man": reading(runs=("-P", "-H", "--html", "-C", "--config-file")),
    "info": reading("-o", "--output"),
    "rg": reading(),
    "yq": reading(runs=("-i", "--inplace")),
    "jq": reading(runs=("-L",)),
    "xmllint": reading("-o"),
    "less": _less,
    "zless": _less,
    "more": _less,
    "pdftotext": reading(least=_WRITE),
    "dmesg": reading(changes="-C -c -n -D -E --clear --read-clear --console-off --console-on --console-level".split()),
    "ss": reading(changes=("-K", "--kill")),
    "arp": reading(changes=("-d", "-s", "-f", "--delete", "--set", "--file")),
    "fuser": reading(changes=("-k", "--kill")),
    "lastlog": reading(changes=("-C", "-S", "--clear", "--set")),
    "journalctl": reading(changes="--rotate --vacuum-size --vacuum-time --vacuum-files --flush --sync".split()),
    "openssl": reading(
        "-out", "-keyout", "-writerand", "-CAcreateserial",
        runs="s_client s_server s_time -engine engine -provider -provider-path ca ocsp rehash".split(),
    ),
    "fc": _unless(r"(?!-[lnr0-9]*l)", _EXECUTE),
    "hash": _unless(r"-\w*[pdr]", _EXECUTE),
    "mapfile": _mapfile,
    "readarray": _mapfile,
    "jobs": _jobs,
    "compgen": _completion,
    "complete": _completion,
    "ip": _ip,
    "set": reading(),
    **dict.fromkeys("gzip gunzip bzip2 bunzip2 xz unxz zstd unzstd lz4".split(), _packing),
    "split": reading(runs=("--filter",), least=_WRITE),
    "zip": reading(runs=("-TT", "--unzip-command"), least=_WRITE),
}  # fmt: skip
