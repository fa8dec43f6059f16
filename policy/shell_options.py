"""What the tools of a shell share: their words and options taken apart."""

from collections.abc import Callable, Sequence
from typing import Final, Protocol

from policy.model import Operation
from policy.shell_words import Word


class Frame(Protocol):
    """What the handler of a command works with."""

    def touch(self, path: str, access: Operation) -> Operation:
        """Note a file that is read or changed; what that does at worst."""

    def script(self, text: str) -> Operation:
        """What a shell does that runs this text."""

    def command(self, words: list[Word]) -> Operation:
        """What this command does."""


Handler = Callable[[Frame, list[Word]], Operation]
"""What one command does, from its arguments."""

VERSION: Final = frozenset({"--version", "--help", "-v", "-h", "-V"})


def make_table(rows: dict[Operation, str]) -> dict[str, Operation]:
    """Name -> operation, from names in one text for each operation."""
    return {name: operation for operation, names in rows.items() for name in names.split()}


def split_options(arguments: Sequence[Word], with_value: str) -> tuple[list[Word], list[Word]]:
    """(words that are no options, options). `with_value`: options whose next word is their value."""
    taking = set(with_value.split())
    words, options, at = [], [], 0
    while at < len(arguments):
        word = arguments[at]
        if word.is_option:
            options.append(word)
            at += 2 if word.text in taking else 1
        else:
            words.append(word)
            at += 1
    return words, options


def has_option(options: Sequence[Word], *names: str) -> bool:
    """Whether one of these options is given, with a value after `=` or without."""
    return any(word.text.partition("=")[0] in names for word in options)


def skip_options(arguments: Sequence[Word], with_value: str = "") -> list[Word]:
    """What follows a wrapper's own options. `with_value`: the options that take a value of their own word."""
    taking = set(with_value.split())
    at = 0
    while at < len(arguments):
        word = arguments[at]
        if word.text == "--":
            return list(arguments[at + 1 :])
        if not word.is_option or not word.is_static:
            break
        at += 2 if word.text in taking else 1
    return list(arguments[at:])


def short_values(arguments: Sequence[Word], letter: str) -> list[Word]:
    """The values of a one-letter option, alone or last in a cluster (`-uo file`): attached, or of the next word."""
    found = []
    for at, word in enumerate(arguments):
        cluster, _, value = word.text[1:].partition(letter)
        if not word.is_option or word.text.startswith("--") or letter not in word.text or not _is_cluster(cluster):
            continue
        found += [Word(value, word.is_static)] if value else list(arguments[at + 1 : at + 2])
    return found


def _is_cluster(text: str) -> bool:
    return not text or text.isalnum()


def option_values(arguments: Sequence[Word], *names: str) -> list[Word]:
    """The values of an option: of the next word, or after `=`."""
    found = []
    for at, word in enumerate(arguments):
        if word.text in names and at + 1 < len(arguments):
            found.append(arguments[at + 1])
        for name in names:
            if name.startswith("--") and word.text.startswith(name + "="):
                found.append(Word(word.text[len(name) + 1 :], word.is_static))
    return found
