"""Commands that run the command in their arguments: shells, `env`, `sudo`, `ssh`, `xargs`, `find -exec` and so on."""

import re
from typing import Final

from policy.model import Operation, worse
from policy.shell_options import Frame, Handler, option_values, short_values, skip_options
from policy.shell_words import Word

_READ, _WRITE, _DELETE, _DDL, _GRANT, _EXECUTE, _ADMIN = Operation


def _wrap(with_value: str = "", *, skip: int = 0, least: Operation = _READ) -> Handler:
    """A command that runs the command in its arguments, after its options and `skip` further words."""

    def handle(frame: Frame, arguments: list[Word]) -> Operation:
        return worse(least, frame.command(skip_options(arguments, with_value)[skip:]))

    return handle


def _env(frame: Frame, arguments: list[Word]) -> Operation:
    """env and its like: assignments, then a command; `-S` splits a text into one."""
    for at, word in enumerate(arguments):
        if match := re.match(r"(?:--split-string=?|-[iv0]*S)(.*)", word.text, re.DOTALL):
            text = match[1]
            parts = [text, *(each.text for each in arguments[at + 1 :])]
            return worse(_EXECUTE, frame.script(" ".join(parts)))
    rest = skip_options(arguments, "-u --unset -C --chdir")
    rest = skip_options(rest[1:], "-u --unset -C --chdir") if rest[:1] and rest[0].text == "-" else rest
    operation = _READ
    while rest and "=" in rest[0].text and not rest[0].text.startswith("="):
        operation = worse(operation, frame.script(rest[0].text.partition("=")[0] + "=x"))
        rest = rest[1:]
    return worse(operation, frame.command(rest))


def _sudo(frame: Frame, arguments: list[Word]) -> Operation:
    if arguments and all(word.text in ("-l", "-ll", "--list", "-v", "-k", "-K", "-n") for word in arguments):
        return _READ
    rest = skip_options(arguments, "-u --user -g --group -h --host -p --prompt -C -r --role -t --type -T -U -D -R")
    while rest and "=" in rest[0].text:
        rest = rest[1:]
    return worse(_EXECUTE, frame.command(rest))


def _su(frame: Frame, arguments: list[Word]) -> Operation:
    texts = option_values(arguments, "-c", "--command")
    return worse(_EXECUTE, *(_text(frame, text) for text in texts))


def _text(frame: Frame, word: Word) -> Operation:
    """What a shell does with this text; a computed one could be anything."""
    return frame.script(word.text) if word.is_static else _ADMIN


def _shell(frame: Frame, arguments: list[Word]) -> Operation:
    """A shell: `-c text`, a script file, or its input (which the caller looks at)."""
    for at, word in enumerate(arguments):
        if word.text in ("--version", "--help"):
            return _READ
        if word.text.startswith("--") or not word.is_option:
            if not word.is_option:
                break
            continue
        if "c" in word.text:
            rest = arguments[at + 1 :]
            rest = rest[1:] if rest and rest[0].is_option else rest
            return worse(_EXECUTE, _text(frame, rest[0]) if rest else _READ)
    return _EXECUTE


def _eval(frame: Frame, arguments: list[Word]) -> Operation:
    if not all(word.is_static for word in arguments):
        return _ADMIN
    return worse(_EXECUTE, frame.script(" ".join(word.text for word in arguments)))


def _trap(frame: Frame, arguments: list[Word]) -> Operation:
    words = [word for word in arguments if word.text != "--"]
    return _text(frame, words[0]) if len(words) > 1 and words[0].text not in ("-", "", "-l", "-p") else _READ


def _alias(frame: Frame, arguments: list[Word]) -> Operation:
    bodies = [Word(word.text.partition("=")[2], word.is_static) for word in arguments if "=" in word.text]
    return worse(_READ, *(_text(frame, body) for body in bodies))


def _declare(frame: Frame, arguments: list[Word]) -> Operation:
    """Assignments as words; those that the grammar sees as such are looked at by themselves."""
    names = [word.text.partition("=")[0].rstrip("+") for word in arguments if "=" in word.text and not word.is_option]
    return worse(_READ, *(frame.script(f"{name}=x") if name.isidentifier() else _READ for name in names))


def _exec(frame: Frame, arguments: list[Word]) -> Operation:
    return frame.command(skip_options(arguments, "-a"))


def _command(frame: Frame, arguments: list[Word]) -> Operation:
    if arguments and arguments[0].text in ("-v", "-V"):
        return _READ
    return frame.command(skip_options(arguments))


def _enable(frame: Frame, arguments: list[Word]) -> Operation:
    return _EXECUTE if any(word.text.startswith("-f") for word in arguments) else _READ


def _ssh(frame: Frame, arguments: list[Word]) -> Operation:
    if [word.text for word in arguments] == ["-V"]:
        return _READ
    rest = skip_options(arguments, "-b -c -D -E -e -F -I -i -J -L -l -m -O -o -p -Q -R -S -W -w -B")[1:]
    if not rest:
        return _EXECUTE
    joined = Word(" ".join(word.text for word in rest), all(word.is_static for word in rest))
    return worse(_EXECUTE, _text(frame, joined))


def _xargs(frame: Frame, arguments: list[Word]) -> Operation:
    marks = [word.text for word in option_values(arguments, "-I", "--replace")]
    marks += [word.text[2:] for word in arguments if word.text.startswith("-I") and len(word.text) > 2] or []
    marks += ["{}"] if any(word.text in ("-i", "--replace") for word in arguments) else []
    value = "-I -n -P -L -d -E -s -a --arg-file --max-args --max-procs --delimiter --max-lines --max-chars --replace"
    rest = skip_options(arguments, value)
    if not rest:
        return _READ
    if any(mark in rest[0].text for mark in marks):
        return _ADMIN
    name = rest[0].text.rpartition("/")[2]
    is_code = name in ("sh", "bash", "dash", "zsh", "ksh", "eval", "env", "sudo", "xargs") and rest[-1].text in (
        name,
        "-c",
    )
    inside = any(mark in word.text for mark in marks for word in rest[1:])
    if name in ("sh", "bash", "dash", "zsh", "ksh") and inside:
        return _ADMIN  # what is read becomes part of the text that is run
    return _ADMIN if is_code else frame.command(rest)


def _find(frame: Frame, arguments: list[Word]) -> Operation:
    operation = _READ
    for at, word in enumerate(arguments):
        if word.text == "-delete":
            operation = worse(operation, _DELETE)
        elif word.text in ("-fprint", "-fprint0", "-fls", "-fprintf") and at + 1 < len(arguments):
            operation = worse(operation, frame.touch(arguments[at + 1].text, _WRITE))
        elif word.text in ("-exec", "-execdir", "-ok", "-okdir"):
            rest = arguments[at + 1 :]
            end = next((n for n, each in enumerate(rest) if each.text in (";", "+")), len(rest))
            inner = rest[:end]
            if inner and "{}" in inner[0].text:
                operation = _ADMIN
            elif inner and inner[0].text in ("sh", "bash") and any("{}" in each.text for each in inner[1:3]):
                operation = worse(operation, _ADMIN)
            else:
                operation = worse(operation, frame.command(inner))
    roots = [word for word in arguments[: next((n for n, w in enumerate(arguments) if w.is_option), len(arguments))]]
    for root in roots:
        if root.is_static and root.text not in ("(", "!", ")"):
            frame.touch(root.text, operation if operation is _DELETE else _READ)
    return operation


def _fd(frame: Frame, arguments: list[Word]) -> Operation:
    for at, word in enumerate(arguments):
        if word.text in ("-x", "--exec", "-X", "--exec-batch"):
            return frame.command(arguments[at + 1 :])
    return _READ


def _watch(frame: Frame, arguments: list[Word]) -> Operation:
    rest = skip_options(arguments, "-n --interval -q --equexit")
    joined = Word(" ".join(word.text for word in rest), all(word.is_static for word in rest))
    return _text(frame, joined)


def _parallel(frame: Frame, arguments: list[Word]) -> Operation:
    rest = [
        word
        for word in skip_options(arguments, "-j -n -N -I -a --jobs --colsep -d -P")
        if not word.text.startswith(":::")
    ]
    return worse(_EXECUTE, frame.command(rest[:1] + rest[1:]) if rest else _ADMIN)


def _setarch(frame: Frame, arguments: list[Word]) -> Operation:
    """Its first word may be left out: then it is the command."""
    rest = skip_options(arguments)
    is_named = bool(rest) and re.fullmatch(
        r"linux32|linux64|uname26|i[3-6]86|x86_64|arm\w*|aarch64|ppc\w*|s390x?", rest[0].text
    )
    return frame.command(rest[1:] if is_named else rest)


def _time(frame: Frame, arguments: list[Word]) -> Operation:
    own = arguments[: len(arguments) - len(skip_options(arguments, "-f -o"))]
    files = option_values(own, "--output") + short_values(own, "o")
    return worse(_wrap("-f -o")(frame, arguments), *(frame.touch(word.text, _WRITE) for word in files))


def _flock(frame: Frame, arguments: list[Word]) -> Operation:
    rest = skip_options(arguments, "-w -E")[1:]
    if rest[:1] and rest[0].text in ("-c", "--command"):
        return _text(frame, rest[1]) if len(rest) > 1 else _READ
    return frame.command(rest)


WRAPPERS: Final[dict[str, Handler]] = {
    **dict.fromkeys("sh bash dash zsh ksh ash mksh fish rbash".split(), _shell),
    "env": _env,
    "sudo": _sudo,
    "doas": _sudo,
    "su": _su,
    "runuser": _su,
    "pkexec": _wrap("--user", least=_EXECUTE),
    "eval": _eval,
    "trap": _trap,
    "alias": _alias,
    "exec": _exec,
    "command": _command,
    "builtin": _wrap(),
    "enable": _enable,
    "ssh": _ssh,
    "autossh": _ssh,
    "sshpass": _wrap("-p -f -d", least=_EXECUTE),
    "xargs": _xargs,
    "find": _find,
    "fd": _fd,
    "fdfind": _fd,
    "watch": _watch,
    "parallel": _parallel,
    "time": _time,
    "coproc": _wrap(),
    "nohup": _wrap(),
    "setsid": _wrap(),
    "nice": _wrap("-n"),
    "ionice": _wrap("-c -n -p"),
    "timeout": _wrap("-s -k --signal --kill-after", skip=1),
    "stdbuf": _wrap("-i -o -e"),
    "chrt": _wrap("-p", skip=1),
    "taskset": _wrap("-p", skip=1),
    "flock": _flock,
    "chronic": _wrap(),
    "unbuffer": _wrap(),
    "caffeinate": _wrap("-t"),
    "choom": _wrap("-n -p"),
    "setarch": _setarch,
    "faketime": _wrap(skip=1),
    **dict.fromkeys("declare export readonly typeset local".split(), _declare),
}
