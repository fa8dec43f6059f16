"""The words of a shell command: tree-sitter's nodes with quoting taken away, as the shell would."""

import re
from dataclasses import dataclass
from typing import Final

from tree_sitter import Node

_ANSI: Final = {
    "a": "\a", "b": "\b", "e": "\x1b", "E": "\x1b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\",
    "'": "'", '"': '"', "?": "?",
}  # fmt: skip
_ANSI_ESCAPE: Final = re.compile(
    r"\\(?:x([0-9a-fA-F]{1,2})|u([0-9a-fA-F]{1,4})|U([0-9a-fA-F]{1,8})|([0-7]{1,3})|c(.)|(.))", re.DOTALL
)
_STATIC: Final = frozenset(
    {"word", "number", "raw_string", "ansi_c_string", "string_content", "extglob_pattern", "regex"}
)
_GLOB: Final = re.compile(r"(?<!\\)[*?\[{~]")


@dataclass(slots=True, frozen=True)
class Word:
    """One word. `text`: without quotes; `is_static` False: the shell computes (a part of) it."""

    text: str
    is_static: bool = True
    has_glob: bool = False

    @property
    def is_option(self) -> bool:
        return self.text.startswith("-") and self.text != "-"


def read_word(node: Node) -> Word:
    """The word that a node stands for."""
    text = (node.text or b"").decode("utf-8", "replace")
    match node.type:
        case "raw_string":
            return Word(text[1:-1])
        case "ansi_c_string":
            return Word(unescape_ansi(text[2:-1]))
        case "string":
            return _read_string(node, text)
        case "translated_string" if node.named_children:
            return read_word(node.named_children[-1])
        case "concatenation":
            return _join([read_word(child) for child in node.children])
        case "command_name":
            return _join([read_word(child) for child in node.children])
        case "word" | "number" | "extglob_pattern" | "regex" | "variable_name" | "special_variable_name":
            if any(child.type not in _STATIC for child in node.named_children):
                return Word(text, is_static=False)
            return Word(re.sub(r"\\(\n?)(.?)", r"\2", text, flags=re.DOTALL), has_glob=bool(_GLOB.search(text)))
        case _:
            is_punctuation = not node.is_named
            return Word(text, is_static=is_punctuation, has_glob=is_punctuation and text in "{[*?")


def _read_string(node: Node, text: str) -> Word:
    inner = text[1:-1]
    is_static = all(child.type == "string_content" for child in node.named_children)
    return Word(re.sub(r"\\([\\\"$`\n])", lambda m: "" if m[1] == "\n" else m[1], inner), is_static)


def _join(words: list[Word]) -> Word:
    return Word(
        "".join(word.text for word in words),
        all(word.is_static for word in words),
        any(word.has_glob for word in words),
    )


def unescape_ansi(text: str) -> str:
    """The content of $'…'."""

    def replace(match: re.Match[str]) -> str:
        for group, base in ((1, 16), (2, 16), (3, 16), (4, 8)):
            if match[group]:
                code = int(match[group], base)
                return chr(code) if code < 0x110000 and not 0xD800 <= code < 0xE000 else "\ufffd"
        if match[5]:
            return chr(ord(match[5].upper()) ^ 0x40) if ord(match[5]) < 128 else match[5]
        return _ANSI.get(match[6], "\\" + match[6])

    return _ANSI_ESCAPE.sub(replace, text)
