"""What the names of result columns mean to a mask: an alias means what it stands for in the statement."""

import re
from typing import Final

from masking.inline.values import Name, ValueMasker
from policy.postgres_sources import NONE, UNKNOWN, Origins, column_origins

MAX_KEPT_NAMES: Final = 1000
"""Aliases of cursors and prepared statements that one session remembers; beyond, the earliest are forgotten."""

MAX_LOOKED_CHARS: Final = 16_384
_WORD: Final = re.compile(r"[A-Za-z_]\w+")
_LATER: Final = ("declare", "prepare")


class SessionNames:
    """The aliases of a session's statements."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[frozenset[str], frozenset[str]]] = {}
        self._last: tuple[str, ValueMasker, Origins] | None = None

    def learn(self, statement: str) -> bool:
        """A statement whose rows a later one may show. Whether it is one."""
        if not any(word in statement[:4096].lower() for word in _LATER):
            return False
        origins = column_origins(statement)
        for name, sources in (origins or NONE).sources.items():
            known = self._kept.pop(name, (frozenset(), frozenset()))
            plain = (origins or NONE).plain.get(name, frozenset())
            self._kept[name] = (known[0] | sources, known[1] | plain)
        for name in list(self._kept)[: max(0, len(self._kept) - MAX_KEPT_NAMES)]:
            del self._kept[name]
        return True

    def find(self, values: ValueMasker, statement: str, text: str) -> Name:
        """The name of a result column of the statement: its own, or that of what it stands for, when that is to be
        masked. What a whole row or a renamed table has is masked whole, when columns are named at all."""
        name = values.name_of(text)
        if name.is_column:
            return name
        origins = self._origins_of(values, statement)
        kept = self._kept.get(text, (frozenset(), frozenset()))
        for source in sorted(origins.sources.get(text, frozenset()) | kept[0]):
            if source == UNKNOWN:
                if values.order.columns:
                    return Name(name.text, name.named, is_column=True, is_suspect=name.is_suspect)
            elif (known := values.name_of(source)).is_column:
                return known
        if name.named is None:
            for source in sorted(origins.plain.get(text, frozenset()) | kept[1]):
                if (known := values.name_of(source)).named is not None:
                    return known
        return name

    def _origins_of(self, values: ValueMasker, statement: str) -> Origins:
        """Parsing costs as much as masking a row: only where columns are named, or the statement has a telling name."""
        last = self._last
        if last is None or last[0] is not statement or last[1] is not values:
            is_wanted = bool(values.order.columns) or any(
                values.name_of(word).named is not None for word in set(_WORD.findall(statement[:MAX_LOOKED_CHARS]))
            )
            origins = column_origins(statement) if is_wanted else NONE
            last = self._last = (statement, values, origins or NONE)
        return last[2]
