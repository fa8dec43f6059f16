"""Sign-in of people as the settings say it: at an OpenID provider, at a SAML one, or not at all."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from starlette.routing import Route as HttpRoute

from console.api.browser import CALLBACK, Browser
from console.api.device import DevicePages
from console.api.people import People, SignIns
from console.api.recording import Recorder
from console.api.roles import ROLES
from console.api.sessions import Sessions
from console.control import Place
from console.oidc.provider import Provider
from schemas.errors import ConfigError
from schemas.resources import resolve_secret

SESSIONS_FILE: Final = "api/sessions.json"
SAML_PACKAGES: Final = "lxml>=6.1 signxml>=5.2"


@dataclass(frozen=True, slots=True)
class SignIn:
    """How people sign in, and the pages that browsers visit for it. `people` None: nobody can."""

    people: SignIns | None = None
    pages: list[HttpRoute] = field(default_factory=list)


def make_sign_in(place: Place, recorder: Recorder, base_url: str) -> SignIn:
    """`base_url`: the API as this host reaches it, where the settings name no other. Raises ConfigError."""
    identity = place.settings.identity
    if identity.oidc.issuer:
        return _by_oidc(place, recorder, base_url)
    return _by_saml(place, recorder, base_url) if identity.saml.idp_entity_id else SignIn()


def _by_oidc(place: Place, recorder: Recorder, base_url: str) -> SignIn:
    settings = place.settings.identity.oidc
    check_roles(settings.roles, "identity.oidc.roles")
    provider = Provider(settings, resolve_secret(settings.client_secret, place.home))
    people = People(settings, provider, Sessions(place.home.root / SESSIONS_FILE))
    return SignIn(people, Browser(people, recorder, settings.redirect_url or base_url + CALLBACK).routes())


def _by_saml(place: Place, recorder: Recorder, base_url: str) -> SignIn:
    settings = place.settings.identity.saml
    check_roles(settings.roles, "identity.saml.roles")
    try:
        from console.api.saml import ACS, SamlBrowser
        from console.saml.provider import SamlProvider
    except ImportError:
        raise ConfigError(f"identity.saml needs packages that are not installed: {SAML_PACKAGES}") from None
    people = SignIns(settings.roles, settings.session_ttl_s, Sessions(place.home.root / SESSIONS_FILE))
    provider = SamlProvider(settings, settings.acs_url or base_url + ACS)
    seen = urlsplit(provider.acs_url)  # browsers reach the API where they reach that
    devices = DevicePages(people, recorder, f"{seen.scheme}://{seen.netloc}")
    return SignIn(people, [*SamlBrowser(people, provider, recorder).routes(), *devices.routes()])


def check_roles(roles: Mapping[str, object], setting: str) -> None:
    """Raises ConfigError for a role that there is not."""
    if unknown := sorted(set(roles) - set(ROLES)):
        raise ConfigError(f"{setting}: no role {unknown[0]!r}; there are: {', '.join(ROLES)}")
