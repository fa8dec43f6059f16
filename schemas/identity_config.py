"""Settings of identity: who vouches for people and workloads, and which agents may act for whom."""

import re
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from schemas.settings_base import Model, is_loopback

LOCAL: Final = "@local"
"""Principals of this host end so; nobody from outside may."""

Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519"]
"""Signatures with public keys only: no `none`, and no HMAC, for which a public key would do as the secret."""


def _checked_url(url: str) -> str:
    """https, or http to this host; nothing that a log or a redirect would not survive."""
    if not url:
        return url
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        is_whole = bool(host) and parts.port != 0
    except ValueError:
        is_whole, host, parts = False, "", urlsplit("")
    if not is_whole or not url.isascii() or not url.isprintable() or " " in url or "@" in parts.netloc:
        raise ValueError("not a URL of scheme, host and perhaps port and path")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(host)):
        raise ValueError("must be https, or http on this host")
    if parts.query or parts.fragment:
        raise ValueError("has no query and no fragment")
    return url


def _checked_url_with_query(url: str) -> str:
    _checked_url(url.partition("?")[0])
    if not url.isascii() or not url.isprintable() or {" ", "#"} & set(url):
        raise ValueError("not a URL of scheme, host and perhaps port, path and query")
    return url


Url = Annotated[str, AfterValidator(_checked_url)]
UrlWithQuery = Annotated[str, AfterValidator(_checked_url_with_query)]
ClaimName = Annotated[str, Field(pattern=r"^[^\x00-\x1f]{1,200}$")]


class Oidc(Model):
    """The OpenID provider at which people sign in. Empty issuer: nobody can."""

    issuer: Url = Field("", description="the provider's issuer, exactly as its tokens name it; empty: off")
    client_id: str = Field("", description="Custody's name at the provider")
    client_secret: str = Field(
        "", pattern=r"^$|^(file|env):\S", description="file:NAME under secrets/ or env:NAME; empty: a public client"
    )
    scopes: list[str] = Field(["openid", "profile", "email"], description="what is asked for; openid must be there")
    redirect_url: Url = Field("", description="where browsers come back to; empty: http://127.0.0.1:PORT/callback")
    principal_claim: ClaimName = Field(
        "email", description="claim that names the person in the record; email counts only when it is verified"
    )
    groups_claim: ClaimName = Field("groups", description="claim with the groups; dots lead into objects")
    roles: dict[str, list[str]] = Field(
        default_factory=dict, description="role of the API to the groups that have it: {auditor: [security]}"
    )
    algorithms: list[Algorithm] = Field(
        ["RS256", "PS256", "ES256", "ES384", "Ed25519"], min_length=1, description="signatures that are accepted"
    )
    max_skew_s: int = Field(30, ge=0, le=300, description="how far the provider's clock may be from ours")
    ca_file: str = Field("", description="CA certificates for the provider; empty: those of the system")
    session_ttl_s: int = Field(43_200, ge=60, le=604_800, description="how long a sign-in lasts")

    @model_validator(mode="after")
    def _is_whole(self) -> "Oidc":
        if self.issuer and not self.client_id:
            raise ValueError("an issuer needs a client_id")
        if self.issuer and "openid" not in self.scopes:
            raise ValueError("scopes must hold openid")
        if any(not re.fullmatch(r"[\x21\x23-\x5b\x5d-\x7e]{1,200}", scope) for scope in self.scopes):
            raise ValueError("a scope has characters that RFC 6749 does not allow")
        return self


class Saml(Model):
    """The SAML 2.0 provider at which people sign in with a browser. Empty idp_entity_id: nobody can."""

    idp_entity_id: str = Field("", max_length=1024, description="the provider's entity id; empty: off")
    sso_url: UrlWithQuery = Field("", description="where it takes requests (HTTP-Redirect binding)")
    certificate_file: str = Field(
        "", description="certificates (PEM) it signs with, the next one too while it changes; read again when changed"
    )
    entity_id: str = Field("", max_length=1024, description="Custody's entity id at the provider: the audience")
    acs_url: Url = Field("", description="where it sends responses; empty: http://127.0.0.1:PORT/saml/acs")
    principal_attribute: str = Field(
        "", max_length=512, description="attribute that names the person in the record; empty: the NameID"
    )
    groups_attribute: str = Field("groups", max_length=512, description="attribute with the groups")
    roles: dict[str, list[str]] = Field(
        default_factory=dict, description="role of the API to the groups that have it: {auditor: [security]}"
    )
    max_skew_s: int = Field(30, ge=0, le=300, description="how far the provider's clock may be from ours")
    session_ttl_s: int = Field(43_200, ge=60, le=604_800, description="how long a sign-in lasts, at most")

    @model_validator(mode="after")
    def _is_whole(self) -> "Saml":
        if self.idp_entity_id and not (self.sso_url and self.certificate_file and self.entity_id):
            raise ValueError("an idp_entity_id needs sso_url, certificate_file and entity_id")
        return self


class TrustedIssuer(Model):
    """Whoever vouches for workloads: a cluster, a CI system, an OpenID provider with client credentials."""

    name: str = Field(..., pattern=r"^[a-z0-9][a-z0-9-]{0,30}$", description="its name here, and in the record")
    issuer: Url = Field(..., min_length=1, description="exactly as its tokens name it")
    audience: str = Field(..., min_length=1, max_length=512, description="what its tokens for Custody are for")
    jwks_url: Url = Field("", description="where its keys are; empty: as its OpenID discovery says")
    algorithms: list[Algorithm] = Field(["RS256", "ES256"], min_length=1, description="signatures that are accepted")
    max_skew_s: int = Field(30, ge=0, le=300, description="how far its clock may be from ours")
    ca_file: str = Field("", description="CA certificates for it; empty: those of the system")


class TrustDomain(Model):
    """A SPIFFE trust domain, whose workloads prove themselves with client certificates."""

    name: str = Field(..., pattern=r"^[a-z0-9][a-z0-9-]{0,30}$", description="its name here, and in the record")
    trust_domain: str = Field(
        ..., pattern=r"^[a-z0-9._-]{1,255}$", description="as its ids name it: spiffe://TRUST_DOMAIN/…"
    )
    bundle_file: str = Field(
        ..., min_length=1, description="its authorities' certificates (PEM); read again when they change"
    )


class Workload(Model):
    """Which workloads: tokens of an issuer, or certificates of a trust domain, whose claims all match.

    `*` in a pattern stands for any text.
    """

    issuer: str = Field(..., min_length=1, description="name of a trusted issuer or trust domain")
    claims: dict[ClaimName, str] = Field(
        ..., min_length=1, description="claim (dots lead into objects) to pattern: {sub: system:serviceaccount:a:b}"
    )


class Grant(Model):
    """Who may act for whom, on what. Whatever no grant says is refused."""

    agent: str = Field(..., min_length=1, max_length=200, description="the agent whose credentials these are")
    workload: Workload | None = Field(
        None, description="what the agent proves to be; without it whoever signed in may start it"
    )
    principals: list[str] = Field(default_factory=list, description="patterns of people for whom it may act")
    groups: list[str] = Field(default_factory=list, description="groups whose people it may act for")
    on_its_own: bool = Field(False, description="it may act for itself, without a person")
    after: list[str] = Field(default_factory=list, description="agents that may hand on to it")
    resources: list[str] = Field(..., min_length=1, description="patterns of resources")
    max_ttl_s: int = Field(3600, ge=60, le=7_776_000, description="longest life of a credential")
    bound: bool = Field(
        False, description="its credentials hold only on connections with the workload's client certificate"
    )

    @model_validator(mode="after")
    def _speaks_of_somebody(self) -> "Grant":
        if self.workload is None and (self.on_its_own or self.after):
            raise ValueError("on_its_own and after need a workload: without one nobody proves to be the agent")
        if not (self.principals or self.groups or self.on_its_own or self.after):
            raise ValueError("a grant for nobody: set principals, groups, on_its_own or after")
        if self.bound and self.workload is None:
            raise ValueError("bound needs a workload of a trust domain")
        return self


class Identity(Model):
    """Who people and workloads are."""

    oidc: Oidc = Field(default_factory=Oidc, description="sign-in of people by OpenID Connect")
    saml: Saml = Field(default_factory=Saml, description="sign-in of people by SAML 2.0")
    issuers: list[TrustedIssuer] = Field(default_factory=list, description="who vouches for workloads")
    trust_domains: list[TrustDomain] = Field(
        default_factory=list, description="whose client certificates (SPIFFE) prove workloads at the API"
    )
    grants: list[Grant] = Field(default_factory=list, description="which agents may act for whom")

    @model_validator(mode="after")
    def _fits_together(self) -> "Identity":
        if self.oidc.issuer and self.saml.idp_entity_id:
            raise ValueError("people sign in at one provider: oidc or saml")
        names = [issuer.name for issuer in self.issuers]
        if len(set(names)) < len(names) or len({issuer.issuer for issuer in self.issuers}) < len(names):
            raise ValueError("two trusted issuers are the same")
        domains = [domain.trust_domain for domain in self.trust_domains]
        names += [domain.name for domain in self.trust_domains]
        if len(set(domains)) < len(domains) or len(set(names)) < len(names):
            raise ValueError("two trust domains are the same, or one is named as a trusted issuer is")
        for issuer in self.issuers:
            if issuer.issuer == self.oidc.issuer and issuer.audience == self.oidc.client_id:
                raise ValueError(f"{issuer.name}: tokens of workloads need another audience than people's have")
        certified = {domain.name for domain in self.trust_domains}
        if loose := [g.agent for g in self.grants if g.bound and g.workload and g.workload.issuer not in certified]:
            raise ValueError(f"the grant of {loose[0]!r} is bound, but tokens, not certificates, prove its workload")
        unknown = [g.workload.issuer for g in self.grants if g.workload and g.workload.issuer not in names]
        if unknown:
            raise ValueError(f"a grant names the issuer {unknown[0]!r}, which is not among issuers and trust_domains")
        return self
