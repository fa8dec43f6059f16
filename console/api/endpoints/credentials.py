"""Agents' credentials: issued, listed, revoked."""

from console import control, credentials
from console.api import models
from console.api.problems import Problem, not_found
from console.api.routing import Answer, Call, Services
from console.delegation import NotGranted
from console.delegation_policy import Wanted, permit, policies_in_force
from console.times import parse_duration
from schemas.errors import ConfigError
from schemas.events import ControlKind


def list_credentials(services: Services, call: Call) -> Answer:
    """GET /v1/credentials."""
    found = credentials.list_credentials(services.view, with_ended=call.query.all)
    entries = [models.CredentialEntry.model_validate(entry) for entry in found]
    return Answer(models.Credentials(credentials=entries), len(entries))


def issue_credential(services: Services, call: Call) -> Answer:
    """POST /v1/credentials: for any principal, as the operator says, if no policy is against it."""
    asked: models.CredentialRequest = call.body
    known = control.resources_of(services.view)
    if unknown := [name for name in asked.resources if name != "*" and name not in known]:
        raise Problem(422, "invalid", f"no resource {unknown[0]!r}")
    ttl = parse_duration(asked.ttl)
    principal = asked.principal or call.caller.principal
    names = list(known) if "*" in asked.resources else asked.resources
    wanted = Wanted(principal, asked.agent, ttl_s=int(ttl.total_seconds()))
    policies = policies_in_force(services.view, services.place.settings)
    try:
        permitted = permit(wanted, names, known, policies, is_exact=True) if names else None
    except NotGranted as error:
        raise Problem(403, "forbidden", str(error)) from None
    issued = credentials.issue(
        services.place.home,
        principal=principal,
        agent=asked.agent,
        resources=asked.resources,
        ttl=ttl,
        run_id=asked.run_id,
        agent_version=asked.agent_version,
        charter=asked.charter,
    )
    credentials.store_credential(services.place, issued)
    return Answer(as_issued(issued), 1, permitted.facts if permitted is not None else {})


def revoke_credential(services: Services, call: Call) -> Answer:
    """DELETE /v1/credentials/{id}: for good, on all proxies."""
    id = call.path["id"]
    if services.view.get(ControlKind.CREDENTIAL, id) is None:
        services.view.refresh(control.TIMEOUT_S)
    with services.writing:
        try:
            is_new = credentials.revoke(services.place, services.view, id, call.query.reason)
        except ConfigError as error:
            raise not_found(str(error)) from None
    return Answer(models.Revoked(id=id, is_new=is_new), 1)


def as_issued(issued: credentials.Issued) -> models.IssuedCredential:
    """A credential with its secret, for the one answer that shows it."""
    return models.IssuedCredential(
        id=issued.credential.id,
        secret=issued.secret,
        expires_at=issued.credential.expires_at,
        bearer=f"{issued.credential.id}.{issued.secret}",
    )
