"""What the little languages of text tools do: sed and awk read, unless their script writes or runs something."""

import re
from typing import Final

from policy.model import Operation, worse
from policy.shell_options import Frame, option_values, skip_options
from policy.shell_words import Word

_READ, _WRITE, _DELETE, _DDL, _GRANT, _EXECUTE, _ADMIN = Operation


def run_sed(frame: Frame, arguments: list[Word]) -> Operation:
    operation = _READ
    if any(word.text.startswith(("-i", "--in-place")) or _is_cluster(word, "i", "nErsuz") for word in arguments):
        files = [word for word in arguments if not word.is_option][1:]
        operation = worse(_WRITE, *(frame.touch(word.text, _WRITE) for word in files))
    scripts = option_values(arguments, "-e", "--expression") or [word for word in arguments if not word.is_option][:1]
    if any(re.match(r"-[nErsuzi]*f|--file(?:=|$)", word.text) for word in arguments):
        return worse(operation, _EXECUTE)
    for script in scripts:
        targets = _SED_TARGET.findall(script.text)
        operation = worse(operation, _sed_script(script.text), *(frame.touch(target, _WRITE) for target in targets))
    return operation


def _is_cluster(word: Word, letter: str, others: str) -> bool:
    text = word.text
    return text.startswith("-") and not text.startswith("--") and letter in text[1:] and text[1] in others


_ADDRESS: Final = r"(?:^|[;{}\n])\s*(?:[0-9$,!~+ ]|/[^/]*/I?)*\s*"
_SED_RUNS: Final = re.compile(_ADDRESS + r"e(?:\s|$|[;}])|[/|#,:@!%_][gpiImM0-9]*e[gpiImMw0-9]*\s*(?:$|[;}\n])")
_SED_WRITES: Final = re.compile(_ADDRESS + r"[wW]\s|[/|#,:@!%_][gpiImM0-9]*w\s")

_SED_TARGET: Final = re.compile(r"[wW]\s+(\S+)\s*(?:$|\n)")


def _sed_script(text: str) -> Operation:
    """`e` runs commands, `w` writes files: as commands, and as flags of s."""
    if _SED_RUNS.search(text):
        return _EXECUTE
    return _WRITE if _SED_WRITES.search(text) else _READ


def run_awk(frame: Frame, arguments: list[Word]) -> Operation:
    if any(word.text in ("-f", "--file", "-i", "--include", "-l", "--load", "-E") for word in arguments):
        return _EXECUTE
    rest = skip_options(arguments, "-F -v --field-separator --assign")
    if not rest or not rest[0].is_static:
        return _EXECUTE
    program = _without_strings(rest[0].text)
    if "system" in program or "|" in program.replace("||", "") or "@" in program:
        return _EXECUTE
    return _WRITE if ">" in program and "print" in program.partition(">")[0] else _READ


def _without_strings(program: str) -> str:
    out, quoted, at = [], False, 0
    while at < len(program):
        if program[at] == "\\" and quoted:
            at += 2
            continue
        if program[at] == '"':
            quoted = not quoted
        elif not quoted:
            out.append(program[at])
        at += 1
    return "".join(out)
