"""Reads MySQL text into tokens, as a server of a given version and SQL mode would.

What stands in an executable comment (`/*!50000 … */`, `/*M! … */`) is code to some servers and a comment to others, a
double quote and a backslash mean one thing or another by SQL mode: each possibility is a `Reading` of its own.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

MAX_VERSIONS: Final = 8

WORD, NAME, STRING, NUMBER, VARIABLE, SYMBOL = "word", "name", "string", "number", "variable", "symbol"


@dataclass(slots=True, frozen=True)
class Token:
    """One token. `text` is the content of a string or a quoted name, a word in upper case, else as written."""

    kind: str
    text: str
    raw: str = ""

    @property
    def name(self) -> str:
        """A name as it was written."""
        return self.raw or self.text

    @property
    def is_literal(self) -> bool:
        return self.kind in (STRING, NUMBER) or (self.kind == WORD and self.text in ("NULL", "TRUE", "FALSE"))


@dataclass(slots=True, frozen=True)
class Reading:
    """How a server reads: which executable comments it executes, and its SQL mode."""

    version: int = 999_999
    is_mariadb: bool = False
    has_ansi_quotes: bool = False
    has_backslashes: bool = True

    def executes(self, version: int) -> bool:
        if self.is_mariadb and 50_700 <= version <= 99_999:
            return False
        return version <= self.version


class LexicalError(ValueError):
    """A quote or a comment that does not end, or a character that no statement has."""


_SPACE: Final = re.compile(r"[\x01-\x20]+")
# What no name is made of; a class that says so is compiled in a fiftieth of the time of one up to \U0010ffff.
_OUTSIDE: Final = r"\x00-#%-\-/:-@\[-^`{-\x7f"
_WORD: Final = re.compile(rf"[^0-9.{_OUTSIDE}][^.{_OUTSIDE}]*")
_NAME: Final = re.compile(rf"[^.{_OUTSIDE}]+")
_NUMBER: Final = re.compile(r"0[xX][0-9a-fA-F]+|0b[01]+|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_VARIABLE: Final = re.compile(rf"@@?[^{_OUTSIDE}]*")
_SYMBOLS: Final = re.compile(r"->>|->|<=>|<<|>>|<=|>=|<>|!=|:=|\|\||&&|[-+*/%=<>!~^&|(),;.:?{}@]")
_OPEN: Final = re.compile(r"/\*(M?)!(\d{5,6})?")
VERSIONS: Final = re.compile(r"/\*M?!(\d{5,6})")


def readings_of(text: str) -> list[Reading]:
    """All readings that may differ for this text, the usual one first. Raises LexicalError when there are too many."""
    versions = sorted({int(version) for version in VERSIONS.findall(text)})
    if len(versions) > MAX_VERSIONS:
        raise LexicalError
    cuts = [999_999, *(version - 1 for version in versions)] if versions else [999_999]
    flavours = (False, True) if "/*M!" in text or any(50_700 <= version <= 99_999 for version in versions) else (False,)
    quotes = (False, True) if '"' in text else (False,)
    backslashes = (True, False) if "\\" in text else (True,)
    return [
        Reading(cut, is_mariadb, has_ansi_quotes, has_backslashes)
        for has_ansi_quotes in quotes
        for has_backslashes in backslashes
        for is_mariadb in flavours
        for cut in cuts
    ]


def tokenize(text: str, reading: Reading) -> Iterator[Token]:
    """Tokens without comments. Raises LexicalError."""
    at, is_within = 0, False
    while at < len(text):
        if space := _SPACE.match(text, at):
            at = space.end()
        elif is_within and text.startswith("*/", at):
            at, is_within = at + 2, False
        elif opened := _OPEN.match(text, at):
            is_run = reading.is_mariadb if opened[1] else True
            if is_run and reading.executes(int(opened[2] or 0)):
                at, is_within = opened.end(), True
            else:
                at = _skip_comment(text, opened.end())
        elif text.startswith("/*", at):
            at = _skip_comment(text, at + 2, is_nestable=False)
        elif text[at] == "#" or (text.startswith("--", at) and (at + 2 >= len(text) or text[at + 2] <= " ")):
            end = text.find("\n", at)
            at = len(text) if end < 0 else end + 1
        else:
            token, at = _read_token(text, at, reading)
            yield token
    if is_within:
        raise LexicalError


def _skip_comment(text: str, at: int, *, is_nestable: bool = True) -> int:
    """The end of a comment; one that is not executed may hold comments of one level."""
    while True:
        end = text.find("*/", at)
        inner = text.find("/*", at) if is_nestable else -1
        if end < 0:
            raise LexicalError
        if not 0 <= inner < end:
            return end + 2
        closing = text.find("*/", inner + 2)
        if closing < 0:
            raise LexicalError
        at = closing + 2


def _read_token(text: str, at: int, reading: Reading) -> tuple[Token, int]:
    first = text[at]
    if first == "`":
        name, end = _read_quoted(text, at, has_backslashes=False)
        return Token(NAME, name), end
    if first in "'\"":
        content, end = _read_quoted(text, at, has_backslashes=reading.has_backslashes)
        if first == '"' and reading.has_ansi_quotes:
            name, end = _read_quoted(text, at, has_backslashes=False)
            return Token(NAME, name), end
        return Token(STRING, content), end
    if first == "@" and (variable := _VARIABLE.match(text, at)) and len(variable[0]) > 1:
        return Token(VARIABLE, variable[0]), variable.end()
    if (number := _NUMBER.match(text, at)) and not _WORD.match(text, number.end()):
        return Token(NUMBER, number[0]), number.end()
    # A name may begin with digits.
    if word := _NAME.match(text, at):
        return Token(WORD, word[0].upper() if word[0].isascii() else word[0], word[0]), word.end()
    symbol = _SYMBOLS.match(text, at)
    if symbol is None:
        raise LexicalError
    return Token(SYMBOL, symbol[0]), symbol.end()


def _read_quoted(text: str, at: int, *, has_backslashes: bool) -> tuple[str, int]:
    """The content of a quoted piece and where it ends. Raises LexicalError."""
    quote, start = text[at], at + 1
    at = start
    while at < len(text):
        if text[at] == "\\" and has_backslashes:
            at += 2
        elif text[at] != quote:
            at += 1
        elif text.startswith(quote * 2, at):
            at += 2
        else:
            return text[start:at], at + 1
    raise LexicalError
