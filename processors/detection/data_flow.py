"""When a lineage edge is a detection: what kind of value went where. Pure; the rule's cases are in this file.

A secret that an agent read somewhere has no business at another resource. Data about people has none outside. A value
that no detector knows is only followed, unless its source says that its data is confidential.
"""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from processors.detection.rule import Match
from schemas.events import LineageEdge, Severity

ID: Final = "data-flow"
VERSION: Final = "1"
DESCRIPTION: Final = "a secret or personal data read at one resource is sent to another that it must not reach"

CONTACT: Final = frozenset({"email", "phone", "phone_number", "ip_address", "ipv4", "ipv6", "mac_address", "mac"})
"""Labels of data by which a person is reached."""
IDENTITY: Final = frozenset(
    {
        "payment_card", "card_cvv", "iban", "us_ssn", "us_itin", "date_of_birth", "national_id", "tax_id", "health_id",
        "passport", "driver_license", "bank_account", "person_name", "person", "address", "location",
    }
)  # fmt: skip
"""Labels of data that identifies a person or an account. Labels that begin with a country's code and `_` count, too."""

INTERNAL: Final = "internal"
EXTERNAL: Final = "external"
CONFIDENTIAL: Final = frozenset({"confidential", "restricted", "secret"})
_LOCAL_SUFFIXES: Final = (".internal", ".local", ".lan", ".localdomain", ".svc", ".cluster.local", ".home.arpa")


@dataclass(frozen=True, slots=True)
class Place:
    """What is known of a resource. `accepts` names labels or classes (secrets, personal) that may flow there."""

    name: str
    zone: str = EXTERNAL
    accepts: frozenset[str] = frozenset()
    data: str = ""


def place_of(name: str, resource: Mapping[str, object] | None) -> Place:
    """A resource as control has it; one that is not registered is outside, and accepts nothing.

    Labels of a resource: `zone: internal|external` (else its upstream's address says), `accepts: email,payment_card`,
    `data: confidential`.
    """
    if resource is None:
        return Place(name)
    labels, upstream = resource.get("labels"), resource.get("upstream")
    named = {str(key): str(value) for key, value in labels.items()} if isinstance(labels, Mapping) else {}
    host = str(upstream.get("host", "")) if isinstance(upstream, Mapping) else ""
    zone = named.get("zone", "") or (INTERNAL if is_inside(host) else EXTERNAL)
    accepts = frozenset(word.strip() for word in named.get("accepts", "").split(",") if word.strip())
    return Place(name, zone, accepts, named.get("data", ""))


def is_inside(host: str) -> bool:
    """Whether an address or name belongs to the own network: private or loopback, one label, or a local suffix."""
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        name = host.rstrip(".").lower()
        return bool(name) and ("." not in name or name.endswith(_LOCAL_SUFFIXES))
    return address.is_private or address.is_loopback or address.is_link_local


def class_of(label: str) -> str:
    """secrets, personal, or empty for a value that no detector knows."""
    if not label:
        return ""
    if label in CONTACT or label in IDENTITY or (label[2:3] == "_" and label[:2] in _COUNTRIES):
        return "personal"
    return "secrets"


_COUNTRIES: Final = frozenset(
    "ar at au be bg br ca ch cl cn co cy cz de dk ec ee es fi fr gb gr hr hu id ie il in is it jp kr lt lu lv mt mx my"
    " nl no nz pe pl pt ro rs ru se sg si sk th tr tw ua uk us uy ve za".split()
)


def judge(edge: LineageEdge, source: Place, target: Place) -> tuple[Severity, Match] | None:
    """How bad an edge is, and why; None for one that is only lineage."""
    kind = class_of(edge.label)
    if {edge.label, kind} & target.accepts:
        return None
    is_outside = target.zone != INTERNAL
    if kind == "secrets":
        severity = Severity.CRITICAL if is_outside else Severity.HIGH
    elif kind == "personal" and is_outside:
        severity = Severity.MEDIUM if edge.label in CONTACT else Severity.HIGH
    elif not kind and is_outside and source.data in CONFIDENTIAL:
        severity = Severity.MEDIUM
    else:
        return None
    what = edge.label or "a confidential value"
    facts = {
        "label": edge.label, "token": edge.token, "class": kind, "relation": edge.relation, "edge_id": edge.edge_id,
        "from_resource": edge.from_resource, "from_agent": edge.from_agent, "to_resource": edge.to_resource,
        "to_zone": target.zone,
    }  # fmt: skip
    evidence = (f"{edge.from_session}:{edge.from_seq}", f"{edge.to_session}:{edge.to_seq}")
    return severity, Match(f"{what} read at {edge.from_resource} was sent to {edge.to_resource}", evidence, facts)
