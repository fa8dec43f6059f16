"""Secrets whose text is a JSON object with several values: `#key` picks one."""

import json

from ingest.secrets.base import text_of
from schemas.errors import ConfigError
from schemas.secret_references import Reference


def pick(text: str, reference: Reference) -> str:
    """The whole text, or one value of its JSON object. Raises ConfigError, without the text."""
    if not reference.field:
        return text_of(text, reference)
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise ConfigError(f"{reference.kind}:{reference.path} is no JSON object, so it has no {reference.field!r}")
    return text_of(document.get(reference.field), reference)
