"""`custody agent`: credentials of agents."""

from datetime import timedelta

import click

from console import control, credentials
from console.commands.connect import issue
from console.output import from_us, print_json
from console.table import print_table
from console.times import Duration


@click.group()
def agent() -> None:
    """Issue, list and revoke agent credentials."""


@agent.command("credential")
@click.option("--agent", "name", required=True, help="The software that acts.")
@click.option("--principal", default="", help="Whose authority is used; default: who is signed in, else you@local.")
@click.option("--resource", "resources", multiple=True, required=True, help="May be repeated; * is all.")
@click.option("--ttl", type=Duration(), default="24h", show_default=True, help="How long it lives.")
@click.option("--run-id", default="", help="The agent run its sessions belong to.")
def credential(name: str, principal: str, resources: tuple[str, ...], ttl: timedelta, run_id: str) -> None:
    """Issue a credential: id and secret as JSON. The secret is stored nowhere; keep it."""
    place = control.find_place()
    with control.open_view(place) as view:
        for resource in resources:
            if resource != "*":
                control.require_resource(view, resource)
        issued = issue(place, principal=principal, agent=name, resources=list(resources), ttl=ttl, run_id=run_id)
    print_json({"id": issued.credential.id, "secret": issued.secret, "expires_at": issued.credential.expires_at})


@agent.command("list")
@click.option("--all", "with_ended", is_flag=True, help="Expired and revoked ones too.")
@click.option("--json", "as_json", is_flag=True)
def list_(with_ended: bool, as_json: bool) -> None:
    """List credentials, never their secrets."""
    place = control.find_place()
    with control.open_view(place) as view:
        rows = credentials.list_credentials(view, with_ended=with_ended)
    if as_json:
        print_json(rows)
        return
    columns = ("id", "state", "agent", "principal", "resources", "run_id", "expires")
    cells = (
        (*(row.get(name, "") for name in columns[:4]), " ".join(row["resources"]), row.get("run_id", ""),
         from_us(int(row["expires_at"])))
        for row in rows
    )  # fmt: skip
    print_table(columns, cells)


@agent.command("revoke")
@click.argument("id")
@click.option("--reason", default="", help="Kept with the revocation.")
def revoke(id: str, reason: str) -> None:
    """Revoke a credential: new logins are refused and its live sessions end."""
    place = control.find_place()
    with control.open_view(place) as view:
        is_new = credentials.revoke(place, view, id, reason)
    click.echo(f"{id} revoked" if is_new else f"{id} was revoked already")
