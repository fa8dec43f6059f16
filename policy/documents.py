"""JSON as every reader would read it, or not at all. Pure."""

import json
from typing import Any


class _AmbiguousError(ValueError):
    """A name stands twice in an object: readers differ on which counts."""


def read_document(text: str | bytes) -> Any:
    """A JSON document; None for what is none, is ambiguous, or nests too deep."""
    try:
        return json.loads(text, object_pairs_hook=_unique)
    except (ValueError, RecursionError):
        return None


def messages_of(document: Any) -> list[Any]:
    """The messages of a JSON-RPC document: of a batch each, else the one."""
    return document if isinstance(document, list) else [document]


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _AmbiguousError
    return found
