"""Commands whose arguments decide what they do: wrappers that run another command, and tools with sub-commands."""

import re
from typing import Final

from policy.model import Operation, worse
from policy.shell_options import Frame, Handler, option_values, short_values, skip_options
from policy.shell_readers import READERS
from policy.shell_text import run_awk, run_sed
from policy.shell_tools import TOOLS
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


def _tee(frame: Frame, arguments: list[Word]) -> Operation:
    files = [word for word in arguments if not word.is_option]
    return worse(_READ, *(frame.touch(word.text, _WRITE) for word in files))


def _dd(frame: Frame, arguments: list[Word]) -> Operation:
    targets = [word.text[3:] for word in arguments if word.text.startswith("of=")]
    return worse(_READ, *(frame.touch(target, _WRITE) for target in targets))


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


def _kill(frame: Frame, arguments: list[Word]) -> Operation:
    first = arguments[0].text if arguments else "-l"
    return _READ if first in ("-0", "-l", "-L", "--list", "--help", "--version") else _ADMIN


def _tar(frame: Frame, arguments: list[Word]) -> Operation:
    running = ("--to-command", "--checkpoint-action", "-I", "--use-compress-program", "--rmt-command", "--rsh-command")
    if any(word.text.startswith(running) for word in arguments):
        return _EXECUTE
    if any(word.text in ("--remove-files", "--delete") for word in arguments):
        return _DELETE
    first = arguments[0].text.lstrip("-") if arguments else ""
    modes = first if not arguments or not arguments[0].text.startswith("--") else ""
    texts = {word.text for word in arguments}
    targets = [word.text + "/" for word in option_values(arguments, "-C", "--directory")]
    if texts & {"-t", "--list"} or ("t" in modes and not set("cxru") & set(modes)):
        return _READ
    if set("cru") & set(modes) or texts & {"--create", "--append", "--update"}:
        archives = option_values(arguments, "--file") + short_values(arguments, "f")
        archives += arguments[1:2] if "f" in modes and not arguments[0].is_option else []
        targets += [word.text for word in archives]
    return worse(_WRITE, *(frame.touch(target, _WRITE) for target in targets))


def _date(frame: Frame, arguments: list[Word]) -> Operation:
    is_set = any(re.match(r"-[uR]*s|--set", word.text) for word in arguments)
    return _ADMIN if is_set or any(word.text.isdigit() for word in arguments) else _READ


def _mount(frame: Frame, arguments: list[Word]) -> Operation:
    return _READ if all(word.text in ("-l", "-v", "--show-labels") for word in arguments) else _ADMIN


def _states(*reads: str, otherwise: Operation = _ADMIN) -> Handler:
    """A tool that reads with these words only (no words at all included)."""

    def handle(frame: Frame, arguments: list[Word]) -> Operation:
        words = [word.text for word in arguments if not word.is_option]
        if not words:
            return _READ if not arguments or any(word.text in reads for word in arguments) else otherwise
        return _READ if any(word in reads for word in words[:3]) else otherwise

    return handle


def _always(operation: Operation, *reads: str) -> Handler:
    """What a tool does that asks or reads its input when nothing is given; only with these options it reads."""
    return lambda frame, arguments: _READ if any(word.text in reads for word in arguments) else operation


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


def _assigning(frame: Frame, arguments: list[Word]) -> Operation:
    """sysctl: reads, unless it sets."""
    sets = ("-w", "--write", "-p", "--load", "--system")
    return _ADMIN if any("=" in word.text or word.text.startswith(sets) for word in arguments) else _READ


def _python(frame: Frame, arguments: list[Word]) -> Operation:
    texts = [word.text for word in arguments]
    if texts and texts[0] in ("--version", "-V", "-VV", "--help", "-h"):
        return _READ
    return _READ if texts[:2] == ["-m", "json.tool"] and len(texts) <= 3 else _EXECUTE


def _gpg(frame: Frame, arguments: list[Word]) -> Operation:
    reads = ("--list", "--verify", "--fingerprint", "--version", "-k", "-K")
    return _READ if any(word.text.startswith(reads) for word in arguments) else _WRITE


def _history(frame: Frame, arguments: list[Word]) -> Operation:
    return _DELETE if any(word.text.startswith(("-c", "-d", "-w")) for word in arguments) else _READ


def _reads_with(*reads: str, otherwise: Operation = _ADMIN) -> Handler:
    """A tool that reads when its first argument is one of these."""

    def handle(frame: Frame, arguments: list[Word]) -> Operation:
        return _READ if arguments and arguments[0].text in reads else otherwise

    return handle


def _rpm(frame: Frame, arguments: list[Word]) -> Operation:
    """Macros and pipes run commands."""
    texts = [word.text for word in arguments]
    runs = ("-D", "-E", "--define", "--eval", "--pipe", "--macros", "--rcfile", "--load", "--predefine")
    if any(text.startswith(runs) for text in texts):
        return _ADMIN
    return _READ if texts and re.match(r"-[qV]|--query$|--verify$|--version$", texts[0]) else _ADMIN


def _versions(frame: Frame, arguments: list[Word]) -> Operation:
    return _READ if [word.text for word in arguments] in (["-v"], ["--version"], ["--help"]) else _EXECUTE


def _unzip(frame: Frame, arguments: list[Word]) -> Operation:
    return _READ if any(word.text in ("-l", "-t", "-v", "-Z") for word in arguments) else _WRITE


HANDLERS: Final[dict[str, Handler]] = {
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
    "tee": _tee,
    "dd": _dd,
    "watch": _watch,
    "parallel": _parallel,
    "kill": _kill,
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
    "gpg": _gpg,
    "sed": run_sed,
    "gsed": run_sed,
    "awk": run_awk,
    "gawk": run_awk,
    "mawk": run_awk,
    "nawk": run_awk,
    "tar": _tar,
    "bsdtar": _tar,
    "date": _date,
    "mount": _mount,
    "sysctl": _assigning,
    "python": _python,
    "python3": _python,
    "service": _states("status", "--status-all"),
    "ifconfig": _states("-a"),
    "hostname": _states("-f", "-i", "-I", "-s", "-d", "--fqdn"),
    "iptables": _states("-L", "-S", "-nL", "-vnL"),
    "crontab": _always(_EXECUTE, "-l"),
    "hostnamectl": _states("status"),
    "timedatectl": _states("status"),
    "atq": _states(),
    "swapon": _states("--show", "-s"),
    "passwd": _always(_ADMIN, "-S", "--status"),
    "at": _always(_EXECUTE, "-l", "-V"),
    **dict.fromkeys("declare export readonly typeset local".split(), _declare),
    "dpkg": _reads_with("-l", "-L", "-s", "-S", "--list", "--status"),
    "rpm": _rpm,
    "ufw": _reads_with("status", "show"),
    "nft": _reads_with("list"),
    "fdisk": _reads_with("-l"),
    "zpool": _reads_with("status", "list", "iostat", "history"),
    "zfs": _reads_with("list", "get"),
    "mdadm": _reads_with("--detail", "-D", "--examine", "-E"),
    "ethtool": _reads_with("-i", "-S", "-k"),
    "loginctl": _reads_with("list-sessions", "list-users", "show-session", "show-user", "session-status"),
    "ssh-add": _reads_with("-l", "-L", otherwise=_WRITE),
    "ruby": _versions,
    "php": _versions,
    "perl": _versions,
    "history": _history,
    "node": _versions,
    "unzip": _unzip,
    **READERS,
    **TOOLS,
}
