"""How a resource names its upstream's secret: `KIND:WHERE#FIELD`. Parsed here, fetched by ingest/secrets/."""

import re
from dataclasses import dataclass
from typing import Final

from schemas.errors import ConfigError

LOCAL: Final = ("env", "file", "encrypted")
"""Kinds that are read on this host."""

FORMS: Final = {
    "env": r"(?P<path>[A-Za-z_]\w{0,200})",
    "file": r"(?P<path>[^\x00-\x1f#]{1,300})",
    "encrypted": r"(?P<path>[A-Za-z0-9_][A-Za-z0-9_.-]{0,199})",
    "vault": r"(?P<path>[\w.-]+(?:/[\w. -]+)+)#(?P<field>[\w.-]{1,200})",
    "vault-db": r"(?P<path>[\w.-]+(?:/[\w.-]+)+)",
    "aws": r"(?P<path>[\w/+=.@:-]{1,512})(?:#(?P<field>[\w.-]{1,200}))?",
    "gcp": r"(?P<path>[\w-]+/[\w-]+(?:/(?:latest|[0-9]+))?)(?:#(?P<field>[\w.-]{1,200}))?",
    "k8s": r"(?P<path>[a-z0-9][a-z0-9-]*/[a-z0-9][a-z0-9.-]*)#(?P<field>[\w.-]{1,253})",
}
"""Kind to what may follow its colon."""

EXAMPLES: Final = (
    "env:NAME, file:NAME, encrypted:NAME, vault:kv/app/db#password, vault-db:database/role, aws:NAME#key, "
    "gcp:project/name#key, k8s:namespace/name#key"
)


@dataclass(frozen=True, slots=True)
class Reference:
    """A reference in its parts; `text` is what the settings say."""

    text: str
    kind: str
    path: str
    field: str = ""

    @property
    def is_local(self) -> bool:
        """Whether nobody else has to be asked."""
        return self.kind in LOCAL


def parse_reference(text: str) -> Reference:
    """Raises ConfigError, which repeats the kind only: what follows might be the secret itself, by mistake."""
    kind, _, rest = text.partition(":")
    form = FORMS.get(kind)
    if form is None:
        raise ConfigError(f"a secret is named by one of {EXAMPLES}")
    match = re.fullmatch(form, rest)
    if match is None or ".." in rest.split("/"):
        raise ConfigError(f"what follows {kind}: is not as in {EXAMPLES}")
    parts = match.groupdict()
    return Reference(text, kind, parts["path"], parts.get("field") or "")
