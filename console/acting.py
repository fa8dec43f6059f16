"""Who acts by a command: the person who has signed in; where nobody signs in, whoever the command line names."""

from dataclasses import dataclass

from console.control import Place
from console.credentials import default_principal
from console.remote import ApiRefused, Remote, default_url, read_login
from schemas.config import Settings
from schemas.errors import ConfigError
from schemas.names import is_same_name


@dataclass(frozen=True, slots=True)
class Acting:
    """A person, and the API that knows them; without it the name is only what was said."""

    principal: str
    remote: Remote | None = None


def who_acts(place: Place, given: str, option: str, *, is_here: bool = False) -> Acting:
    """Whose act this is. `is_here`: it is carried out on this host, so this home's own API must know them.

    Raises ConfigError for another name than the one that is signed in, and for one that is only given where people
    sign in; Unreachable.
    """
    login = read_login(place.home)
    if login is None:
        if do_people_sign_in(place.settings):
            raise ConfigError(f"people sign in here, so {option} alone does not count: `custody login` first")
        return Acting(given or default_principal())
    remote = Remote(default_url(place.home, place.settings) if is_here else login.api, login.token, login.ca_file)
    principal = ask_who(remote)
    if given and not is_same_name(given, principal):
        raise ConfigError(f"you are signed in as {principal}: {option} {given} is somebody else")
    return Acting(principal, remote)


def ask_who(remote: Remote) -> str:
    """Who a login is of, in the API's word. Raises ConfigError when it is over, Unreachable."""
    try:
        return str(remote.ask("GET", "/v1/whoami")["principal"])
    except ApiRefused as error:
        raise ConfigError(f"{error}: sign in again with `custody login`") from None


def do_people_sign_in(settings: Settings) -> bool:
    """Whether this installation knows people by a provider."""
    return bool(settings.identity.oidc.issuer or settings.identity.saml.idp_entity_id)
