"""Which tables a MySQL statement names, by its words: for what has no tree."""

from collections.abc import Iterator, Sequence
from typing import Final

from policy.model import Operation
from policy.mysql_lexer import NAME, SYMBOL, WORD, Token

# After these words a table's name follows; words that may stand between.
_BEFORE: Final = frozenset(
    "FROM JOIN INTO UPDATE TABLE TABLES ON VIEW DATABASE SCHEMA TRUNCATE HANDLER INDEX TO".split()
)
_BETWEEN: Final = frozenset("IF NOT EXISTS TABLE IGNORE ONLY".split())
_NO_NAMES: Final = frozenset(
    "OUTFILE DUMPFILE SELECT VALUES SET DUPLICATE WITH INTO CACHE SCHEDULE FOR ENGINE KEY COLUMN".split()
)


def read_names(tokens: Sequence[Token], operation: Operation) -> Iterator[tuple[str, Operation]]:
    """Names of what a statement is about, by the words before them."""
    access = operation
    for at, token in enumerate(tokens[:2000]):
        if token.kind == WORD and token.text in _BEFORE:
            yield from ((name, access) for name in _names_after(tokens, at + 1))


def _names_after(tokens: Sequence[Token], at: int) -> Iterator[str]:
    while at < len(tokens) and tokens[at].kind == WORD and tokens[at].text in _BETWEEN:
        at += 1
    while at < len(tokens) and tokens[at].kind in (WORD, NAME) and tokens[at].text not in _NO_NAMES:
        parts = [tokens[at]]
        while at + 2 < len(tokens) and tokens[at + 1].text == "." and tokens[at + 1].kind == SYMBOL:
            at += 2
            parts.append(tokens[at])
        yield ".".join(part.name for part in parts)
        if at + 1 >= len(tokens) or tokens[at + 1].text != "," or tokens[at + 1].kind != SYMBOL:
            return
        at += 2
