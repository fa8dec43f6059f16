"""The models of what control holds: resources, credentials, keys. `custody apply -f` takes them as YAML."""

import os
from typing import Annotated, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from schemas.config import Model, faults_of
from schemas.errors import ConfigError
from schemas.retention_config import FALLBACK, Retention
from schemas.runtime import Home
from schemas.secret_references import EXAMPLES, parse_reference

Name = Annotated[
    str,
    Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$", description="small letters, digits, `.`, `_`, `-`; at most 63"),
]

Group = Annotated[str, Field(pattern=r"^[^,\x00-\x1f\x7f]{1,200}$")]
"""A group's name: the record keeps a session's groups in one text, with commas between."""


class Upstream(Model):
    """Where a resource really is, and as whom the proxy logs in."""

    host: str = Field(..., min_length=1, description="host name or address")
    port: int = Field(..., ge=1, le=65535, description="port")
    tls: Literal["off", "require", "verify"] = Field("off", description="TLS to the upstream")
    ca_file: str = Field("", description="CA certificates for tls: verify")
    user: str = Field("", description="user the proxy logs in as")
    database: str = Field("", description="PostgreSQL: database when the agent names none")
    secret: str = Field(
        "", description="where the upstream's secret is: env:NAME, file:NAME, vault:…, aws:… (docs/secrets.md)"
    )
    header: str = Field("Authorization", description="HTTP: header that carries the secret")
    scheme: str = Field("Bearer", description="HTTP: prefix of the secret in that header; may be empty")

    @field_validator("secret")
    @classmethod
    def _is_a_reference(cls, secret: str) -> str:
        try:
            return parse_reference(secret).text if secret else ""
        except ConfigError as error:
            raise ValueError(str(error)) from None


class Limits(Model):
    """How much of an answer is recorded."""

    max_rows: int = Field(100, ge=0, description="result rows recorded per action; the rest is counted and digested")
    max_payload_bytes: int = Field(65_536, ge=0, le=262_144, description="content bytes recorded per action")
    max_statement_bytes: int = Field(262_144, ge=1024, le=262_144, description="statement bytes recorded")
    idle_timeout_s: float = Field(3600.0, gt=0, description="a session without traffic is closed")
    connect_timeout_s: float = Field(10.0, gt=0, description="longest wait for the upstream and for a login")


class Resource(Model):
    """Something agents act on, reached through one listener of a proxy."""

    name: Name
    protocol: Literal["postgres", "http", "tcp"] = Field(..., description="how its bytes are understood")
    listen: int = Field(..., ge=0, le=65535, description="port of the proxy for it")
    upstream: Upstream
    record: Literal["complete", "request", "best_effort"] = Field("complete", description="what is durable first")
    on_audit_failure: Literal["block", "spool"] = Field("block", description="when the broker is gone")
    on_opaque: Literal["relay", "refuse"] = Field("refuse", description="bytes that cannot be parsed")
    agent_login: Literal["scram-sha-256", "md5"] = Field(
        "scram-sha-256", description="postgres: how agents prove their secret; md5 only for clients that know no other"
    )
    speaks: Literal["", "mcp"] = Field(
        "", description="http: mcp where it is an MCP server, so that each POST is judged by its message"
    )
    principal: str = Field("", description="tcp: whose authority is used, since the protocol carries no login")
    retention_class: str = Field(
        FALLBACK, description="retention class of its events, together with those that retention.assign gives it"
    )
    labels: dict[str, str] = Field(default_factory=dict, description="free labels, e.g. environment: production")
    limits: Limits = Field(default_factory=Limits, description="how much is recorded")

    @model_validator(mode="after")
    def _tcp_needs_principal(self) -> "Resource":
        if self.protocol == "tcp" and not self.principal:
            raise ValueError("a tcp resource needs `principal`: the protocol carries no login")
        if self.retention_class == "held":
            raise ValueError("retention class held is the store's, for rows under a legal hold")
        return self


def with_class(resource: Resource, retention: Retention) -> Resource:
    """A resource under the class that its sessions get. Raises AgesConflict."""
    own = resource.retention_class
    found = retention.find_class(resource.name, resource.protocol, resource.labels, own)
    return resource if found == own else resource.model_copy(update={"retention_class": found})


class Delegate(Model):
    """One link of a delegation chain."""

    actor: str
    on_behalf_of: str


class Credential(Model):
    """What an agent may log in with. Its secret is HMAC(mint key, id ‖ expiry): recomputed, stored nowhere."""

    id: str = Field(..., pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")
    principal: str = Field(..., min_length=1)
    agent: str = Field(..., min_length=1)
    agent_version: str = Field("", max_length=100)
    charter: str = Field("", max_length=128, description="hash of what the agent was told to do")
    groups: list[Group] = Field(default_factory=list, max_length=200, description="of the principal, for policies")
    delegation: list[Delegate] = Field(default_factory=list)
    run_id: str = ""
    parents: list[str] = Field(default_factory=list, max_length=16, description="credentials it was derived from")
    resources: list[str] = Field(..., min_length=1, description="resource names, or * for all")
    spiffe_id: str = Field(
        "", max_length=2048, description="the workload whose client certificate must come with it; empty: none"
    )
    expires_at: int = Field(..., gt=0, description="µs since the epoch, UTC")


class Key(Model):
    """An Ed25519 public key, hex: of a proxy (may sign batches) or a writer (may sign control entries)."""

    public: str = Field(..., pattern=r"^[0-9a-f]{64}$")
    kinds: list[str] = Field(default_factory=list, description="writer keys: the control kinds it may write")


class Policy(Model):
    """Cedar policies under one name. All that control holds are in force together."""

    name: Name
    cedar: str = Field(..., min_length=1, max_length=1 << 20, description="policies in Cedar")


class Document(Model):
    """A file for `custody apply -f`."""

    resources: list[Resource] = Field(default_factory=list)
    policies: list[Policy] = Field(default_factory=list, description="Cedar policies, by name")

    @model_validator(mode="after")
    def _names_and_ports_are_unique(self) -> "Document":
        names = [resource.name for resource in self.resources]
        if len({policy.name for policy in self.policies}) < len(self.policies):
            raise ValueError("two policies have one name")
        ports = [resource.listen for resource in self.resources if resource.listen]
        if len(set(names)) < len(names):
            raise ValueError("two resources have one name")
        if len(set(ports)) < len(ports):
            raise ValueError("two resources listen on one port")
        return self


def parse_document(data: object, name: str) -> Document:
    """A document from YAML data. Raises ConfigError with all faults."""
    try:
        return Document.model_validate(data or {})
    except ValidationError as error:
        raise ConfigError(faults_of(error, name)) from None


def resolve_secret(reference: str, home: Home) -> str:
    """The secret that an env: or file: reference names; "" for no reference. Raises ConfigError, without the secret."""
    kind, _, name = reference.partition(":")
    if not reference:
        return ""
    if kind == "env":
        value = os.environ.get(name)
        if value is None:
            raise ConfigError(f"environment variable {name} is not set")
        return value
    if kind == "file":
        return home.read_secret(name)
    raise ConfigError(f"a secret is named by one of {EXAMPLES}, and read here only as env: or file:")
