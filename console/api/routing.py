"""A route: what is asked for, who may ask, what comes back. The table of routes makes both the app and its document."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import BaseModel, ConfigDict

from console.api.caller import Caller
from console.api.codes import Codes
from console.api.people import SignIns
from console.api.roles import Permission
from console.control import Place
from console.desk import Desk
from console.oidc.workloads import Workloads
from schemas.spiffe import TrustDomains
from schemas.wire.control import ControlView

JSON: Final = "application/json"
FORM: Final = "application/x-www-form-urlencoded"
"""A route with this content speaks OAuth: its errors are those of RFC 6749."""


class Document(BaseModel):
    """Base of what requests carry: unknown names are faults."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Nothing(Document):
    """No parameters, or no content."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request, its parts checked against the route's models."""

    caller: Caller
    path: Mapping[str, str]
    query: Any
    body: Any
    client_chain: tuple[bytes, ...] = field(default=(), repr=False)
    """The client's certificates (DER, its own first), as the connection proved to have the key of; none: empty."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a handler found. `rows` is recorded, and so are `facts`, with the outcome."""

    document: BaseModel | None
    rows: int = 0
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Services:
    """What handlers work with; they run in threads. `writing` is held while control is read, decided on and written."""

    place: Place
    view: ControlView
    people: SignIns | None = None
    workloads: Workloads = field(default_factory=lambda: Workloads(()))
    trust_domains: TrustDomains = field(default_factory=lambda: TrustDomains(()))
    writing: threading.Lock = field(default_factory=threading.Lock)
    desk: Desk | None = None
    codes: Codes = field(default_factory=Codes)


Handler = Callable[[Services, Call], Answer]
Prove = Callable[[Services, Call], Caller]


@dataclass(frozen=True, slots=True)
class Route:
    """One line of the table. Without a permission any caller that has logged in may ask."""

    method: str
    path: str
    operation: str
    summary: str
    handler: Handler
    answer: type[BaseModel] | None
    permission: Permission | None = None
    query: type[Document] = Nothing
    body: type[BaseModel] | None = None
    status: int = 200
    content_type: str = JSON
    form_lists: tuple[str, ...] = ()
    """Parameters of a form that may stand several times."""
    is_open: bool = False
    """Answered without a login."""
    prove: Prove | None = None
    """For an open route: who asks, by what the content proves. Raises Problem."""
    is_recorded: bool = True
    recorded_fields: tuple[str, ...] = ()
    """Fields of the body that are recorded with the request; nothing else of a body is."""
    statement_field: str = ""
    """The field of the body that is the statement; else method and path are."""
