"""The finders that detector files may name."""

from typing import Final

from masking.assignments import find_flags, find_named
from masking.kubernetes import find_kubernetes
from masking.model import Finder
from masking.prose import find_prose
from masking.siblings import find_siblings
from masking.tables import find_copy

FINDERS: Final[dict[str, Finder]] = {
    "named": find_named,
    "flags": find_flags,
    "prose": find_prose,
    "copy": find_copy,
    "kubernetes": find_kubernetes,
    "siblings": find_siblings,
}
