"""The settings behind an annotation's first words: `…; approvers=2; within=300`."""

from collections.abc import Iterable, Sequence


def read_settings(annotation: str, parts: Iterable[str], keys: Sequence[str], takes: str) -> dict[str, str]:
    """The values by key; empty parts count for nothing. Raises ValueError, which says what is wrong; `takes` says what
    the annotation takes."""
    given: dict[str, str] = {}
    for part in filter(str.strip, parts):
        key, equals, value = (each.strip() for each in part.partition("="))
        if key not in keys or not equals:
            raise ValueError(f"@{annotation} takes {takes}, not {part.strip()!r}")
        if key in given:
            raise ValueError(f"@{annotation}: {key} is given twice")
        given[key] = value
    return given
