"""`custody login`, `logout`, `whoami`: a person signs in on any device, at the OpenID provider or by a browser."""

import time
from typing import TYPE_CHECKING, Any, Final

import click

from console.output import clean, from_us, print_json
from schemas.errors import ConfigError, Unreachable

if TYPE_CHECKING:
    from console.oidc.provider import Device, Provider
    from console.remote import Remote

SLOW_DOWN_S: Final = 5.0
MAX_PAUSE_S: Final = 60.0
MIN_PAUSE_S: Final = 0.2
PENDING: Final = "authorization_pending"


@click.command()
@click.option("--api", "url", default="", help="Address of the API; default: this home's own.")
@click.option("--ca-file", default="", help="CA certificates of the API and the provider; default: the system's.")
def login(url: str, ca_file: str) -> None:
    """Sign in, so that what you do is done in your name. Shows an address and a code to enter there."""
    from console import remote
    from console.control import find_place

    place = find_place()
    api = remote.Remote(url or remote.default_url(place.home, place.settings), ca_file=ca_file)
    told = api.ask("GET", "/v1/sign-in")
    device = told.get("device") if isinstance(told, dict) else None
    session = sign_in_by_browser(api, device) if isinstance(device, str) and device else sign_in_at(api, told, ca_file)
    known = remote.Login(api.url, session["token"], session["principal"], session["expires_at"], ca_file)
    remote.write_login(place.home, known)
    click.echo(f"signed in as {clean(known.principal)}{_roles(session)} until {_until(known.expires_at)}")


def sign_in_at(api: "Remote", told: Any, ca_file: str) -> Any:
    """The API's session for who signs in at the OpenID provider. Raises TokenRefused, ApiRefused, Unreachable."""
    from console.oidc.provider import Provider
    from schemas.identity_config import Oidc

    try:
        settings = Oidc(issuer=told["issuer"], client_id=told["client_id"], scopes=told["scopes"], ca_file=ca_file)
    except (KeyError, TypeError, ValueError):
        raise Unreachable("the API's word on where to sign in cannot be read") from None
    return api.ask("POST", "/v1/sign-in", {"id_token": sign_in_elsewhere(Provider(settings))})


def sign_in_by_browser(api: "Remote", path: str) -> Any:
    """The API's session for who enters the code in a browser that is signed in. Raises TokenRefused, ApiRefused,
    Unreachable."""
    from console.oidc.errors import TokenRefused
    from console.remote import ApiRefused

    begun = api.ask("POST", path)
    try:
        code, shown, where = (str(begun[name]) for name in ("device_code", "user_code", "verification_uri"))
        pause_s, ends_at = min(float(begun["interval"]), MAX_PAUSE_S), time.time() + float(begun["expires_in"])
    except (KeyError, TypeError, ValueError):
        raise Unreachable("the API's word on how to sign in cannot be read") from None
    click.echo(f"open {clean(where)}")
    click.echo(f"and enter the code {clean(shown)}")
    while time.time() < ends_at:
        time.sleep(max(pause_s, MIN_PAUSE_S))
        try:
            return api.ask("POST", f"{path}/token", {"device_code": code})
        except ApiRefused as refused:
            if refused.name != PENDING:
                raise
    raise TokenRefused("the sign-in took too long")


def sign_in_elsewhere(provider: "Provider") -> str:
    """The ID token, once the person has agreed on another device. Raises TokenRefused, Unreachable."""
    device = provider.start_device()
    click.echo(f"open {clean(device.whole_uri or device.uri)}")
    click.echo(f"and check that it shows the code {clean(device.user_code)}")
    return wait_for(provider, device)


def wait_for(provider: "Provider", device: "Device") -> str:
    """Ask until there is an answer, no oftener than the provider wants. A provider that is away is asked again."""
    from console.oidc.errors import ProviderFailed, TokenRefused
    from console.oidc.provider import Pending

    pause_s = device.interval_s
    while time.time() < device.ends_at:
        time.sleep(min(pause_s, max(0.0, device.ends_at - time.time())))
        try:
            return provider.poll_device(device)
        except Pending as pending:
            pause_s += SLOW_DOWN_S if pending.is_slow else 0.0
        except ProviderFailed:
            pause_s = min(pause_s * 2, MAX_PAUSE_S)
    raise TokenRefused("the sign-in took too long")


@click.command()
def logout() -> None:
    """End your session, here and at the API."""
    from console import remote
    from schemas.runtime import Home, find_home

    home = Home(find_home())
    known = remote.read_login(home)
    if known is None:
        click.echo("nobody is signed in")
        return
    remote.remove_login(home)
    try:
        remote.Remote(known.api, known.token, known.ca_file).ask("DELETE", "/v1/sign-in")
    except remote.ApiRefused as error:
        if error.status != 401:  # over already
            raise
    except Unreachable as error:
        ends = _until(known.expires_at)
        raise Unreachable(f"{error}; the login is forgotten here, its session ends at {ends}") from None
    click.echo(f"{clean(known.principal)} is signed out")


@click.command()
@click.option("--json", "as_json", is_flag=True)
def whoami(as_json: bool) -> None:
    """Who you are to Custody, and what you may do over the API."""
    from console import remote
    from console.credentials import default_principal
    from schemas.runtime import Home, find_home

    known = remote.read_login(Home(find_home()))
    if known is None:
        answer: dict[str, Any] = {"principal": default_principal(), "groups": [], "roles": [], "via": "this host"}
    else:
        try:
            answer = remote.Remote(known.api, known.token, known.ca_file).ask("GET", "/v1/whoami")
        except remote.ApiRefused as error:
            remedy = ": sign in again with `custody login`" if error.status == 401 else ""
            raise ConfigError(f"{error}{remedy}") from None
    if as_json:
        print_json(answer)
        return
    click.echo(f"{clean(answer['principal'])}{_roles(answer)}, by {answer['via']}")
    if answer["groups"]:
        click.echo(f"groups: {clean(', '.join(answer['groups']))}")


def _roles(answer: dict[str, Any]) -> str:
    return f" ({clean(', '.join(answer['roles']))})" if answer.get("roles") else ""


def _until(at_us: int) -> str:
    return from_us(at_us).strftime("%Y-%m-%d %H:%M UTC")
