"""Tools of a system, for files, services, packages and languages, of which the arguments say whether they only read."""

import re
from typing import Final

from policy.model import Operation, worse
from policy.shell_options import Frame, Handler, option_values, short_values
from policy.shell_text import run_awk, run_sed
from policy.shell_words import Word

_READ, _WRITE, _DELETE, _DDL, _GRANT, _EXECUTE, _ADMIN = Operation


def _tee(frame: Frame, arguments: list[Word]) -> Operation:
    files = [word for word in arguments if not word.is_option]
    return worse(_READ, *(frame.touch(word.text, _WRITE) for word in files))


def _dd(frame: Frame, arguments: list[Word]) -> Operation:
    targets = [word.text[3:] for word in arguments if word.text.startswith("of=")]
    return worse(_READ, *(frame.touch(target, _WRITE) for target in targets))


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


SYSTEM: Final[dict[str, Handler]] = {
    "tee": _tee,
    "dd": _dd,
    "kill": _kill,
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
}
