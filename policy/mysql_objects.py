"""Which tables a MySQL statement names: from sqlglot's tree, or from the words of what has none."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from sqlglot import exp

from policy.model import Operation, worse
from policy.mysql_lexer import NAME, SYMBOL, WORD, Token

_READ: Final = Operation.READ
MAX_COLUMNS: Final = 200
# After these words a table's name follows; words that may stand between.
_BEFORE: Final = frozenset(
    "FROM JOIN INTO UPDATE TABLE TABLES ON VIEW DATABASE SCHEMA TRUNCATE HANDLER INDEX TO".split()
)
_BETWEEN: Final = frozenset("IF NOT EXISTS TABLE IGNORE ONLY".split())
_NO_NAMES: Final = frozenset(
    "OUTFILE DUMPFILE SELECT VALUES SET DUPLICATE WITH INTO CACHE SCHEDULE FOR ENGINE KEY COLUMN".split()
)


@dataclass(slots=True)
class Tables:
    """What the tree of one statement shows."""

    accesses: dict[str, Operation] = field(default_factory=dict)
    columns: dict[str, None] = field(default_factory=dict)
    has_where: bool = False
    lacks_where: bool = False


def read_tables(tree: exp.Expr, operation: Operation) -> Tables:
    """Tables with their access, columns, and whether rows are chosen. `operation`: what is done to the targets."""
    found = Tables()
    targets = {id(table) for table in _targets(tree)}
    for table in tree.find_all(exp.Table):
        name = ".".join(part.name for part in table.parts if part.name)
        if (
            not name
            or name.upper() == "DUAL"
            or isinstance(table.this, exp.Func | exp.Parameter)
            or _is_common(table, name)
        ):
            continue
        access = operation if id(table) in targets and operation.rank > _READ.rank else _READ
        found.accesses[name] = worse(found.accesses.get(name, _READ), access)
    for column in tree.find_all(exp.Column):
        if len(found.columns) < MAX_COLUMNS:
            found.columns[column.name] = None
    found.has_where = tree.find(exp.Where) is not None
    found.lacks_where = isinstance(tree, exp.Update | exp.Delete) and tree.args.get("where") is None
    return found


def _targets(tree: exp.Expr) -> Iterator[exp.Table]:
    """The tables that a statement changes: for UPDATE of several, all of them."""
    if isinstance(tree, exp.Delete) and tree.args.get("tables"):
        names = {each.name for each in tree.args["tables"]}
        for table in tree.find_all(exp.Table):
            if table.name in names or table.alias in names:
                yield table
        return
    if isinstance(tree, exp.Insert | exp.Delete | exp.Update | exp.Create):
        target = tree.this
        if isinstance(target, exp.Expr):
            yield from [target] if isinstance(target, exp.Table) else target.find_all(exp.Table)
            if isinstance(tree, exp.Update):
                for join in target.args.get("joins") or []:
                    yield from join.find_all(exp.Table)


def _is_common(table: exp.Table, name: str) -> bool:
    """Whether the name is that of a common table expression that can be seen from here."""
    node: exp.Expr | None = table
    within: exp.Expr | None = None
    while node is not None:
        if isinstance(node, exp.CTE):
            within = node
        clause = node.args.get("with_") or node.args.get("with")
        if isinstance(clause, exp.With):
            for cte in clause.expressions:
                if cte is within and not clause.args.get("recursive"):
                    break
                if cte.alias == name:
                    return True
        node = node.parent
    return False


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
