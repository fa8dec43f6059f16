"""`custody connect RESOURCE`: one ready URL on the first line."""

from datetime import timedelta

import click

from console import control, credentials, remote
from console.exchange import issue_in_name
from console.output import print_json
from console.probes import ANY_ADDRESS, proxy_address
from console.times import Duration
from schemas.config import Settings
from schemas.runtime import Home, read_run_state


@click.command()
@click.argument("resource")
@click.option("--env", "with_env", is_flag=True, help="Add export lines: proxies and CA certificates.")
@click.option("--principal", default="", help="Whose authority is used; default: who is signed in, else you@local.")
@click.option("--agent", default="cli", show_default=True, help="The software that acts.")
@click.option("--ttl", type=Duration(), default="1h", show_default=True, help="How long the credential lives.")
@click.option("--run-id", default="", help="The agent run its sessions belong to.")
@click.option("--json", "as_json", is_flag=True, help="URL, credential id, expiry and variables as JSON.")
def connect(
    resource: str, with_env: bool, principal: str, agent: str, ttl: timedelta, run_id: str, as_json: bool
) -> None:
    """Issue a fresh short-lived credential and print a URL that a client can use at once."""
    place = control.find_place()
    with control.open_view(place) as view:
        entry = control.require_resource(view, resource)
        address = proxy_address(place, entry)
        issued = issue(place, principal=principal, agent=agent, resources=[resource], ttl=ttl, run_id=run_id)
        url = credentials.make_url(entry, issued, *address, place.settings)
        proxy = find_http_proxy(place.home, place.settings)
        variables = credentials.make_environment(entry, issued, url, proxy, place.home, place.settings)
    if as_json:
        expiry = issued.credential.expires_at
        document = {"url": url, "id": issued.credential.id, "secret": issued.secret, "expires_at": expiry}
        print_json(document | {"environment": variables})
        return
    click.echo(url)
    if with_env:
        click.echo("\n".join(credentials.as_exports(variables)))


def issue(
    place: control.Place, *, principal: str, agent: str, resources: list[str], ttl: timedelta, run_id: str
) -> credentials.Issued:
    """A credential that the proxies know: for `principal`, else in the name of who is signed in, else for you@local.

    Raises ConfigError, Unreachable.
    """
    login = remote.read_login(place.home) if not principal else None
    if login is not None:
        return issue_in_name(login, agent=agent, resources=resources, ttl=ttl, run_id=run_id)
    issued = credentials.issue(
        place.home,
        principal=principal or credentials.default_principal(),
        agent=agent,
        resources=resources,
        ttl=ttl,
        run_id=run_id,
    )
    credentials.store_credential(place, issued)
    return issued


def find_http_proxy(home: Home, settings: Settings) -> tuple[str, int]:
    """Where the regular HTTP proxy listens."""
    host = ANY_ADDRESS.get(settings.capture.bind, settings.capture.bind)
    state = read_run_state(home, "proxy-http")
    return host, (state.ports.get("http_proxy") if state else None) or settings.ports.http_proxy
