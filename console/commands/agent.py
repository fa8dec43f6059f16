"""`custody agent`: credentials of agents."""

from datetime import timedelta

import click

from console import control, credentials
from console.output import from_us, print_json, print_table
from console.times import Duration
from schemas.errors import ConfigError
from schemas.events import ControlKind
from schemas.runtime import now_us


@click.group()
def agent() -> None:
    """Issue, list and revoke agent credentials."""


@agent.command("credential")
@click.option("--agent", "name", required=True, help="The software that acts.")
@click.option("--principal", default="", help="Whose authority is used; default: you@local.")
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
        issued = credentials.issue(
            place.home,
            principal=principal or credentials.default_principal(),
            agent=name,
            resources=list(resources),
            ttl=ttl,
            run_id=run_id,
        )
        entry = issued.credential.model_dump(mode="json")
        control.put_entry(place, ControlKind.CREDENTIAL, issued.credential.id, entry)
    print_json({"id": issued.credential.id, "secret": issued.secret, "expires_at": issued.credential.expires_at})


@agent.command("list")
@click.option("--all", "with_ended", is_flag=True, help="Expired and revoked ones too.")
@click.option("--json", "as_json", is_flag=True)
def list_(with_ended: bool, as_json: bool) -> None:
    """List credentials, never their secrets."""
    place = control.find_place()
    with control.open_view(place) as view:
        entries = view.all(ControlKind.CREDENTIAL)
        revoked = set(view.all(ControlKind.REVOCATION))
    now = now_us()
    rows = []
    for id, entry in sorted(entries.items(), key=lambda item: int(item[1].get("expires_at", 0))):
        expires_at = int(entry.get("expires_at", 0))
        state = "revoked" if id in revoked else "expired" if expires_at <= now else "valid"
        if with_ended or state == "valid":
            rows.append(dict(entry, state=state))
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
        if view.get(ControlKind.CREDENTIAL, id) is None:
            raise ConfigError(f"no credential {id!r}; see `custody agent list`")
        wanted: control.Wanted = {(ControlKind.REVOCATION, id): {"reason": reason}}
        changes = control.plan(wanted, view) if view.get(ControlKind.REVOCATION, id) is None else []
        control.write_changes(place, changes, view)
    click.echo(f"{id} revoked" if changes else f"{id} was revoked already")
