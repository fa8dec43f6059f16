"""What sqlglot makes of a MySQL statement: its tables, columns and WHERE.

A module of its own, since sqlglot takes longer to load than all the rest of policy: only who meets MySQL pays for it.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from policy.model import Operation, worse

logging.getLogger("sqlglot").setLevel(logging.CRITICAL)  # it quotes what it cannot parse

_READ: Final = Operation.READ
MAX_COLUMNS: Final = 200


@dataclass(slots=True)
class Tables:
    """What the tree of one statement shows."""

    accesses: dict[str, Operation] = field(default_factory=dict)
    columns: dict[str, None] = field(default_factory=dict)
    has_where: bool = False
    lacks_where: bool = False


def parse_tree(text: str) -> exp.Expr | None:
    """The tree of one statement; None when sqlglot does not take it."""
    try:
        trees = sqlglot.parse(text, dialect="mysql")
    except (SqlglotError, RecursionError, ValueError):
        return None
    return None if len(trees) != 1 or isinstance(trees[0], exp.Command) else trees[0]


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
