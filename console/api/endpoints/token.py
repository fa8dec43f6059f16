"""`POST /token`: one proof of identity exchanged for an agent's credential (OAuth 2.0 Token Exchange, RFC 8693)."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Final

from console import control, credentials
from console.api import identity_models as models
from console.api.caller import Caller
from console.api.people import People
from console.api.problems import Problem
from console.api.resource_urls import find_resource
from console.api.routing import Answer, Call, Services
from console.delegation import Asking, Granted, NotGranted, decide
from console.delegation_policy import Wanted, permit, policies_in_force
from console.exchange import ACCESS_TOKEN, GRANT_TYPE
from console.oidc.errors import TokenRefused
from console.oidc.people import check_principal
from console.oidc.workloads import WorkloadIdentity
from schemas.errors import ConfigError
from schemas.runtime import now_us
from schemas.spiffe import SvidRefused

TYPES: Final = "urn:ietf:params:oauth:token-type:"
CLIENT_CREDENTIALS: Final = "client_credentials"
AUTHORIZATION_CODE: Final = "authorization_code"
ID_TOKEN, JWT = f"{TYPES}id_token", f"{TYPES}jwt"


def prove(services: Services, call: Call) -> Caller:
    """Who asks, for whom: every token of the request verified, and the certificate of its connection."""
    asked: models.TokenRequest = call.body
    if asked.grant_type not in (GRANT_TYPE, CLIENT_CREDENTIALS, AUTHORIZATION_CODE):
        served = f"{GRANT_TYPE}, {CLIENT_CREDENTIALS} or {AUTHORIZATION_CODE}"
        raise Problem(400, "unsupported_grant_type", f"the grant type is {served}")
    if asked.grant_type == AUTHORIZATION_CODE:
        asking = _by_code(services, asked)
        return Caller(asking.principal, groups=asking.groups, via="code", proof=asking)
    if asked.code or asked.code_verifier or asked.redirect_uri or asked.resource:
        raise Problem(400, "invalid_request", f"code and what comes with it are for {AUTHORIZATION_CODE}")
    if asked.requested_token_type not in ("", ACCESS_TOKEN):
        raise Problem(400, "invalid_request", f"only tokens of the type {ACCESS_TOKEN} are issued")
    if bool(asked.actor_token) != bool(asked.actor_token_type):
        raise Problem(400, "invalid_request", "actor_token and actor_token_type come together")
    client = _client_of(services, call) if asked.client_id else None
    if asked.grant_type == CLIENT_CREDENTIALS:
        asking = _on_its_own(asked, client)
        return Caller(asking.principal, via="certificate", proof=asking)
    if client is not None and asked.actor_token:
        raise Problem(400, "invalid_request", "who acts is either the client or the actor_token's")
    try:
        asking = _subject_of(services, asked, client)
    except (TokenRefused, ConfigError) as error:
        raise Problem(400, "invalid_grant", f"the subject token is not accepted: {error}") from None
    return Caller(asking.principal, groups=asking.groups, via="exchange", proof=asking)


def exchange(services: Services, call: Call) -> Answer:
    """POST /token: the credential, if a grant allows it."""
    asked: models.TokenRequest = call.body
    resources = control.resources_of(services.view)
    registered = sorted(resources)
    if unknown := [name for name in asked.audience if name not in registered]:
        raise Problem(400, "invalid_target", f"no resource {unknown[0]!r}")
    try:
        grants = services.place.settings.identity.grants
        granted = decide(call.caller.proof, grants, registered, now_us())
        permitted = permit(
            _wanted(call.caller.proof, granted),
            granted.resources,
            resources,
            policies_in_force(services.view, services.place.settings),
            is_exact=bool(call.caller.proof.resources),
        )
    except NotGranted as error:
        raise Problem(400, "access_denied", str(error)) from None
    issued = credentials.issue(
        services.place.home,
        principal=granted.principal,
        agent=granted.agent,
        resources=list(permitted.resources),
        ttl=timedelta(seconds=granted.ttl_s),
        run_id=granted.run_id or asked.run_id,
        delegation=granted.delegation,
        groups=granted.groups,
        agent_version=asked.agent_version,
        charter=asked.charter,
        parents=granted.parents,
        spiffe_id=granted.spiffe_id,
    )
    credentials.store_credential(services.place, issued)
    return Answer(_as_token(issued, granted.ttl_s), 1, permitted.facts)


def _wanted(asking: Asking, granted: Granted) -> Wanted:
    return Wanted(
        granted.principal,
        granted.agent,
        tuple(granted.groups),
        asking.is_person,
        asking.actor.principal if asking.actor is not None else "",
        asking.parent.agent if asking.parent is not None else "",
        len(asking.parent.delegation) if asking.parent is not None else 0,
        granted.ttl_s,
    )


def _client_of(services: Services, call: Call) -> WorkloadIdentity:
    """Who is at the other end by the certificate of the connection (RFC 8705): the one that client_id names."""
    if not call.client_chain:
        raise Problem(400, "invalid_client", "client_id takes a client certificate, and this connection has none")
    try:
        svid = services.trust_domains.verify(call.client_chain)
        check_principal(f"{svid.issuer}:{svid.id}", "URI")
    except (SvidRefused, TokenRefused) as error:
        raise Problem(400, "invalid_client", str(error)) from None
    if str(svid.id) != call.body.client_id:
        raise Problem(400, "invalid_client", "client_id is not the client certificate's")
    claims = {"sub": str(svid.id), "trust_domain": svid.id.domain, "path": svid.id.path}
    return WorkloadIdentity(svid.issuer, str(svid.id), claims)


def _by_code(services: Services, asked: models.TokenRequest) -> Asking:
    """A person has agreed, in a browser, that this agent acts for them on one resource."""
    if asked.subject_token or asked.actor_token or asked.audience or asked.agent:
        raise Problem(400, "invalid_request", "a code takes no other token, audience or agent")
    try:
        agreed = services.codes.take(asked.code, asked.client_id, asked.redirect_uri, asked.code_verifier)
        caller = services.people.find(agreed.token) if services.people is not None else None
        if caller is None:
            raise TokenRefused("the browser's session is over")
    except TokenRefused as error:
        raise Problem(400, "invalid_grant", str(error)) from None
    registered = control.resources_of(services.view)
    if any(find_resource(url, registered, services.place) != agreed.resource for url in asked.resource):
        raise Problem(400, "invalid_target", "the person agreed to another resource")
    return Asking(
        principal=caller.principal,
        groups=caller.groups,
        is_person=True,
        agent=agreed.client_id,
        resources=(agreed.resource,),
        ttl_s=asked.lifetime,
    )


def _on_its_own(asked: models.TokenRequest, client: WorkloadIdentity | None) -> Asking:
    """RFC 6749, 4.4: the client asks for itself."""
    if client is None:
        raise Problem(400, "invalid_request", "client_credentials takes the client_id of a client certificate")
    if asked.subject_token or asked.subject_token_type or asked.actor_token:
        raise Problem(400, "invalid_request", "client_credentials takes no other token: it is for the client itself")
    return Asking(
        principal=client.principal,
        actor=client,
        agent=asked.agent,
        resources=tuple(dict.fromkeys(asked.audience)),
        ttl_s=asked.lifetime,
    )


def _subject_of(services: Services, asked: models.TokenRequest, client: WorkloadIdentity | None) -> Asking:
    """Raises TokenRefused, ConfigError, Problem."""
    read = _SUBJECTS.get(asked.subject_token_type)
    if read is None:
        raise Problem(400, "invalid_request", f"subject_token_type is one of {', '.join(_SUBJECTS)}")
    if not asked.subject_token:
        raise Problem(400, "invalid_request", "there is no subject_token")
    known = read(services, asked.subject_token)
    itself = known.pop("itself", None)
    actor = _actor_of(services, asked) if asked.actor_token else client or itself
    if known.get("parent") is not None and actor is None:
        raise Problem(400, "invalid_request", "to hand a credential on takes the proof of who gets it")
    return Asking(
        **known, actor=actor, agent=asked.agent, resources=tuple(dict.fromkeys(asked.audience)), ttl_s=asked.lifetime
    )


def _actor_of(services: Services, asked: models.TokenRequest) -> WorkloadIdentity:
    if asked.actor_token_type != JWT:
        raise Problem(400, "invalid_request", f"actor_token_type is {JWT}")
    try:
        return services.workloads.identify(asked.actor_token)
    except TokenRefused as error:
        raise Problem(400, "invalid_grant", f"the actor token is not accepted: {error}") from None


def _person_by_id_token(services: Services, token: str) -> dict[str, Any]:
    if not isinstance(services.people, People):
        raise TokenRefused("nobody can sign in with one here")
    person = services.people.prove(token).person
    return {"principal": person.principal, "groups": person.groups, "is_person": True}


def _by_access_token(services: Services, token: str) -> dict[str, Any]:
    """A person's session, or a credential that is handed on."""
    caller = services.people.find(token) if services.people is not None else None
    if caller is not None:
        return {"principal": caller.principal, "groups": caller.groups, "is_person": True}
    parent = credentials.check_shown(services.place.home, services.view, token)
    return {"principal": parent.principal, "groups": tuple(parent.groups), "parent": parent}


def _workload(services: Services, token: str) -> dict[str, Any]:
    """It asks for itself."""
    itself = services.workloads.identify(token)
    return {"principal": itself.principal, "itself": itself}


_SUBJECTS: Final[Mapping[str, Callable[[Services, str], dict[str, Any]]]] = {
    ID_TOKEN: _person_by_id_token,
    ACCESS_TOKEN: _by_access_token,
    JWT: _workload,
}


def _as_token(issued: credentials.Issued, ttl_s: int) -> models.TokenAnswer:
    credential = issued.credential
    return models.TokenAnswer(
        access_token=f"{credential.id}.{issued.secret}",
        issued_token_type=ACCESS_TOKEN,
        token_type="Bearer",  # noqa: S106 - RFC 6750's name of the kind
        expires_in=ttl_s,
        credential_id=credential.id,
        secret=issued.secret,
        expires_at=credential.expires_at,
        principal=credential.principal,
        agent=credential.agent,
        delegation=list(credential.delegation),
        audience=list(credential.resources),
    )
