"""The engine's own parse of a statement (`EXPLAIN AST` and `formatQuerySingleLine`) as data. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from deploy.embedded.store_errors import QueryRefused

_LINE: Final = re.compile(r"( *)(\S+)(.*?)(?: \(children (\d+)\))?$")
_QUOTED: Final = re.compile(r"'(?:[^'\\]|\\.)*'|`(?:[^`\\]|\\.)*`|\"(?:[^\"\\]|\\.)*\"", re.DOTALL)
_ALIAS: Final = re.compile(r" ?\(alias .*\)$")
OUTFILE_OR_SETTINGS: Final = re.compile(r"\bINTO OUTFILE\b|\bSETTINGS [\w.]+ = ")
_WORD: Final = re.compile(r"\w+(?:\.\w+)*")


@dataclass(slots=True)
class Node:
    """One node: `kind` is the engine's name of it, `text` the rest of its line."""

    kind: str
    text: str
    children: list["Node"] = field(default_factory=list)

    def walk(self) -> Iterator["Node"]:
        """This node and all below it."""
        stack = [self]
        while stack:
            node = stack.pop()
            yield node
            stack.extend(node.children)

    def name(self) -> str:
        """The plain or dotted name on the line, without its alias. Raises QueryRefused on any other text."""
        name = _ALIAS.sub("", self.text)
        if not _WORD.fullmatch(name):
            raise QueryRefused(f"unusual name in {self.kind}")
        return name


def parse_tree(lines: list[str]) -> Node:
    """The tree of `EXPLAIN AST` lines. Raises QueryRefused where depth and child counts disagree.

    Names may hold anything, so a line could pretend to be another: counts make that visible.
    """
    root: Node | None = None
    path: list[Node] = []
    expected: list[tuple[Node, int]] = []
    for line in lines:
        match = _LINE.match(line)
        if match is None:
            raise QueryRefused("unreadable parse tree")
        indent, kind, text, count = match.groups()
        node = Node(kind, text.removeprefix(" "))
        expected.append((node, int(count or 0)))
        depth = len(indent)
        if depth > len(path) or (depth == 0) != (root is None):
            raise QueryRefused("unreadable parse tree")
        del path[depth:]
        if path:
            path[-1].children.append(node)
        else:
            root = node
        path.append(node)
    if root is None or any(len(node.children) != count for node, count in expected):
        raise QueryRefused("unreadable parse tree")
    return root


def quote_literal(text: str) -> str:
    """A string literal of the engine."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def blank_quoted(formatted: str) -> str:
    """Formatted text with string literals as '' and quoted names as q, so that only keywords and plain names remain.

    Raises QueryRefused when a quoted name holds a control character: it could forge lines of the tree.
    """

    def blank(match: re.Match[str]) -> str:
        quoted = match.group()
        if quoted[0] == "'":
            return "''"
        if "\\" in quoted or any(ord(char) < 32 for char in quoted):
            raise QueryRefused("unusual quoted name")
        return "q"

    return _QUOTED.sub(blank, formatted)


def check_clauses(blanked: str) -> None:
    """Refuse clauses that act even while a statement is only explained. Raises QueryRefused."""
    if not blanked.startswith(("CREATE ", "ALTER ")) and OUTFILE_OR_SETTINGS.search(blanked):
        raise QueryRefused("INTO OUTFILE and SETTINGS are not available")


@dataclass(frozen=True, slots=True)
class Parsed:
    """One statement: the engine's own text of it without quoted parts, and its tree."""

    blanked: str
    root: Node
