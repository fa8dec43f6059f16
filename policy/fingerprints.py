"""The shape of a statement as a short digest: what stays when the values are taken away."""

import hashlib
from collections.abc import Iterable


def shape_of(parts: Iterable[str]) -> str:
    """16 hex digits over the parts of a shape; "" for no parts."""
    text = "\n".join(parts)
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16] if text else ""
