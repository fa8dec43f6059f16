"""`custody approvals`: what waits for a person, and deciding on it."""

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

import click

from console.output import EXIT_UNDECIDED, EXIT_VIOLATION, clean, format_duration, from_us, one_line, print_json
from console.times import Duration

if TYPE_CHECKING:
    from console.approvals import Past
    from console.control import Place
    from console.remote import Remote
    from sinks.approvals.pending import HeldAction


@click.group()
def approvals() -> None:
    """List what waits for a person; approve or deny it."""


@approvals.command("list")
@click.option("--json", "as_json", is_flag=True, help="JSON Lines.")
def list_(as_json: bool) -> None:
    """Show what waits, the oldest first: who, what, on what, why, and what was done before."""
    from console.acting import who_acts
    from console.control import find_place

    place = find_place()
    remote = who_acts(place, "", "a name").remote
    documents, found = read_remote(remote) if remote is not None else read_here(place)
    for document, (held, past) in zip(documents, found, strict=True):
        if as_json:
            print_json(document)
        else:
            click.echo("\n".join(clean(line) for line in render(held, past)) + "\n")
    if not found and not as_json:
        click.echo("nothing waits")


def read_here(place: "Place") -> tuple[list[dict[str, Any]], list[tuple["HeldAction", "Past | None"]]]:
    """What waits, read off the log of this installation."""
    from console.approvals import as_document, list_pending

    waiting = list_pending(place)
    found = list(zip(waiting, read_pasts(place, waiting), strict=True))
    return [as_document(held, past) for held, past in found], found


def read_remote(remote: "Remote") -> tuple[list[dict[str, Any]], list[tuple["HeldAction", "Past | None"]]]:
    """What waits, as the API shows it to who is signed in."""
    from console.remote_approvals import list_documents, read_document

    documents = list_documents(remote)
    return documents, [read_document(document) for document in documents]


@approvals.command("approve")
@click.argument("id")
@click.option("--for", "duration", type=Duration(), default=None, help="All of this shape in this session, so long.")
@click.option("--reason", default="", help="Kept with the approval.")
@click.option("--as", "approver", default="", help="Whose decision it is, where nobody signs in; default: you@local.")
@click.option("--json", "as_json", is_flag=True)
def approve(id: str, duration: timedelta | None, reason: str, approver: str, as_json: bool) -> int:
    """Let a waiting action go on. Nobody approves the action of an agent of their own."""
    minutes = 0 if duration is None else max(1, round(duration.total_seconds() / 60))
    return decide(id, "approve", approver, minutes, reason, as_json)


@approvals.command("deny")
@click.argument("id")
@click.option("--reason", required=True, help="Told to the agent, and kept.")
@click.option("--as", "approver", default="", help="Whose decision it is, where nobody signs in; default: you@local.")
@click.option("--json", "as_json", is_flag=True)
def deny(id: str, reason: str, approver: str, as_json: bool) -> int:
    """Refuse a waiting action."""
    return decide(id, "deny", approver, 0, reason, as_json)


def decide(
    id: str, verdict: Literal["approve", "deny"], approver: str, minutes: int, reason: str, as_json: bool
) -> int:
    """Exit code 0 when the decision counts, 1 when it does not, 2 when that is not known."""
    from console import approvals as desk
    from console import remote_approvals
    from console.acting import who_acts
    from console.control import find_place

    place = find_place()
    who = who_acts(place, approver, "--as")
    if who.remote is not None:
        whole, answer = remote_approvals.decide(who.remote, id, verdict, minutes, reason)
    else:
        with desk.follow(place) as follower:
            held = desk.find_held(follower.pending, id)
            whole = held.approval_id
            answer = desk.decide(
                place, follower, held, approver=who.principal, verdict=verdict, minutes=minutes, reason=reason
            )
    if as_json:
        print_json({"approval_id": whole, "status": answer.status, "told": answer.told,
                    "delay_us": answer.delay_us})  # fmt: skip
    else:
        after = f" after {format_duration(answer.delay_us)}" if answer.delay_us else ""
        told = f": {answer.told}" if answer.told else ""
        click.echo(clean(f"{whole} {answer.status}{after}{told}"))
    if answer.status == "unknown":
        return EXIT_UNDECIDED
    return EXIT_VIOLATION if answer.status in ("refused", "ignored") else 0


def read_pasts(place: "Place", found: Sequence["HeldAction"]) -> list["Past | None"]:
    """What the store knows of each; None for all of them when it does not answer."""
    from console.approvals import read_past
    from console.store import open_store
    from schemas.errors import CustodyError

    if not found:
        return []
    try:
        with open_store(place) as store:
            return [read_past(store, held) for held in found]
    except CustodyError:
        return [None] * len(found)


def render(held: "HeldAction", past: "Past | None") -> list[str]:
    """The lines of one waiting action."""
    chain = "".join(f", {actor} for {whom}" for actor, whom in held.delegation)
    people = f" ({len(held.approved_by)} of {held.approvers} people)" if held.approvers > 1 else ""
    lines = [
        f"{held.approval_id}  {one_line(held.reason)}{people}",
        f"  {one_line(f'{held.agent} for {held.principal}{chain}')} on {held.resource} ({held.protocol})",
        f"  asked {from_us(held.asked_at):%H:%M:%S}, waits until {from_us(held.expires_at):%H:%M:%S} UTC"
        f", session {held.session_id}",
        f"  does: {held.operation}: {one_line(', '.join(held.objects)) or 'unknown objects'}",
        *(f"    {line}" for line in held.statement[:2000].splitlines()),
        *(f"    ${n} = {'NULL' if value is None else one_line(value)}" for n, value in enumerate(held.parameters, 1)),
        *(f"    {line}" for line in held.content[:2000].splitlines()),
    ]
    if past is not None:
        lines.append(f"  last day: {past.actions} actions, {past.refused} refused, {past.approved} approved")
        lines += [f"  before: {one_line(statement, 120)}" for statement in past.recent]
    return lines
