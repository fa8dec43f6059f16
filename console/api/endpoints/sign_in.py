"""Signing in and out over the API; browsers go by console/api/browser.py."""

from console.api import identity_models as models
from console.api.authentication import unauthorized
from console.api.caller import Caller
from console.api.device import START
from console.api.people import People
from console.api.problems import Problem, not_found
from console.api.routing import Answer, Call, Services
from console.oidc.errors import TokenRefused


def settings_of(services: Services, call: Call) -> Answer:
    """GET /v1/sign-in: what a client needs to sign a person in at the provider, or by a browser."""
    if services.people is not None and not isinstance(services.people, People):
        return Answer(models.SignInSettings(device=START))
    settings = people_of(services).settings
    return Answer(
        models.SignInSettings(issuer=settings.issuer, client_id=settings.client_id, scopes=list(settings.scopes))
    )


def prove(services: Services, call: Call) -> Caller:
    """Whom the ID token names."""
    people = people_of(services)
    try:
        proof = people.prove(call.body.id_token)
    except TokenRefused as error:
        raise unauthorized(f"the ID token is not accepted: {error}") from None
    person = proof.person
    return Caller(person.principal, people.roles_of(person.groups), person.groups, "id_token", proof=proof)


def sign_in(services: Services, call: Call) -> Answer:
    """POST /v1/sign-in: an ID token in, a session's token out."""
    try:
        token, session = people_of(services).begin(call.caller.proof)
    except TokenRefused as error:
        raise unauthorized(f"the ID token is not accepted: {error}") from None
    return Answer(
        models.SignedIn(
            token=token,
            principal=session.principal,
            groups=list(session.groups),
            roles=sorted(call.caller.roles),
            expires_at=session.expires_at,
        )
    )


def sign_out(services: Services, call: Call) -> Answer:
    """DELETE /v1/sign-in: this session, at once."""
    if call.caller.via != "session":
        raise Problem(400, "refused", "this login is a password of the home: it has no session to end")
    if services.people is not None:
        services.people.end(call.caller.token)
    return Answer(None)


def people_of(services: Services) -> People:
    """Raises Problem (404) when nobody can sign in so."""
    if not isinstance(services.people, People):
        why = "people sign in with a browser, at /login" if services.people else "identity.oidc.issuer is not set"
        raise not_found(f"nobody can sign in so: {why}")
    return services.people
