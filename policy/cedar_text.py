"""Cedar text taken apart into its policies, each with its place, so that every fault can be told with its line."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

MAX_CHARS: Final = 1 << 20


@dataclass(slots=True, frozen=True)
class Piece:
    """One policy as text. `line`: where it begins in the file, from 1."""

    text: str
    line: int


def split_policies(text: str) -> Iterator[Piece]:
    """The policies of a text: up to each `;` outside strings, comments and brackets; a rest that has none too."""
    start, at, depth = 0, 0, 0
    while at < len(text):
        char = text[at]
        if text.startswith("//", at):
            end = text.find("\n", at)
            at = len(text) if end < 0 else end
            continue
        if char == '"':
            at = _string_end(text, at)
            continue
        if char in "({[":
            depth += 1
        elif char in ")}]":
            depth -= 1
        elif char == ";" and depth <= 0:
            yield _piece(text, start, at + 1)
            start, depth = at + 1, 0
        at += 1
    if (rest := _piece(text, start, len(text))).text:
        yield rest


def _string_end(text: str, at: int) -> int:
    at += 1
    while at < len(text) and text[at] != '"':
        at += 2 if text[at] == "\\" else 1
    return at + 1


def _piece(text: str, start: int, end: int) -> Piece:
    """Without the comments and blank lines before it."""
    while start < end:
        if text[start].isspace():
            start += 1
        elif text.startswith("//", start):
            line_end = text.find("\n", start, end)
            start = end if line_end < 0 else line_end
        else:
            break
    return Piece(text[start:end].strip(), text.count("\n", 0, start) + 1)
