"""Names of people and agents as they are compared: spelling one another way makes nobody somebody else."""

import re
import unicodedata


def fold_name(name: str) -> str:
    """A name without differences of case, width, composition and spaces."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    return re.sub(r"\s+", " ", folded).strip()


def is_same_name(one: str, other: str) -> bool:
    """Whether two names are of one."""
    return fold_name(one) == fold_name(other)
