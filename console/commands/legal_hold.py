"""`custody legal-hold`: say what must stay, whatever its age, and say when it may go again."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from console.commands.two_people import APPROVED_BY, BY, ask, confirm, find_for_approval, name_two
from console.output import print_json
from console.table import print_table
from console.times import Moment, check_span

if TYPE_CHECKING:
    from console.control import Place
    from console.legal_holds import HeldCount
    from schemas.holds import LegalHold


@click.group("legal-hold")
def legal_hold() -> None:
    """Place, release and list legal holds. A hold wins over every age and over erasure, everywhere in the store."""


@legal_hold.command("place")
@click.option("--session", default="", help="One session; the first characters of its id suffice.")
@click.option("--agent", default="", help="What an agent did.")
@click.option("--principal", default="", help="What was done under somebody's authority.")
@click.option("--resource", default="", help="What was done on a resource.")
@click.option(
    "--token", default="", help="Sessions in which a masked value was seen: its token, as `custody trace` shows."
)
@click.option("--since", type=Moment(), help="Events from this time on.")
@click.option("--until", type=Moment(), help="Events before this time.")
@click.option("--authority", required=True, help="Who orders it: a court, a regulator, counsel; the matter's number.")
@click.option("--reason", required=True, help="Why.")
@BY
@APPROVED_BY
@click.option("--id", "hold_id", default="", help="Name of the hold; by default one is made.")
@click.option("--json", "as_json", is_flag=True)
def place(
    session: str, agent: str, principal: str, resource: str, token: str, since: datetime | None,
    until: datetime | None, authority: str, reason: str, by: str, approved_by: str, hold_id: str, as_json: bool,
) -> None:  # fmt: skip
    """Place a hold on the events that fit every criterion given. It takes two people, and at least one criterion.

    In force when the command returns. What an expiry dropped before that is gone; the number of events that the hold
    takes in now is printed.
    """
    from console.control import find_place
    from console.reading import complete_session

    check_span(since, until)
    here = find_place()
    by, approved_by = name_two(here, by, approved_by)
    session = complete_session(here, session) if session else ""
    texts = {"session": session, "agent": agent, "principal": principal, "resource": resource, "token": token}
    times = {"since": _as_us(since), "until": _as_us(until)}
    values = {"criteria": texts | times, "authority": authority, "reason": reason, "id": hold_id}
    if approved_by:
        _place(here, values, by, approved_by, as_json)
    else:
        ask(here, "hold", by, values, "legal-hold approve", as_json=as_json)


def _place(here: "Place", values: dict[str, Any], by: str, approved_by: str, as_json: bool) -> None:
    from console.legal_holds import place_hold

    hold_id, hold = place_hold(
        here, values["criteria"], authority=values["authority"], reason=values["reason"], by=by,
        approved_by=approved_by, id=values["id"],
    )  # fmt: skip
    show(hold_id, hold, _count(hold), as_json)


@legal_hold.command("release")
@click.argument("hold_id", metavar="HOLD")
@click.option("--reason", required=True, help="Why it may go.")
@BY
@APPROVED_BY
@click.option("--json", "as_json", is_flag=True)
def release(hold_id: str, reason: str, by: str, approved_by: str, as_json: bool) -> None:
    """Release a hold. What it alone kept goes with the next look for due days, if its time has come."""
    from console.control import find_place

    here = find_place()
    by, approved_by = name_two(here, by, approved_by)
    values = {"id": hold_id, "reason": reason}
    if approved_by:
        _release(here, values, by, approved_by, as_json)
    else:
        ask(here, "release", by, values, "legal-hold approve", as_json=as_json)


def _release(here: "Place", values: dict[str, Any], by: str, approved_by: str, as_json: bool) -> None:
    from console.legal_holds import release_hold

    hold = release_hold(here, values["id"], reason=values["reason"], by=by, approved_by=approved_by)
    show(values["id"], hold, _count(hold), as_json)


@legal_hold.command("approve")
@click.argument("request_id", metavar="REQUEST")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True)
def approve(request_id: str, yes: bool, as_json: bool) -> None:
    """Approve a hold, or a release, that somebody else has asked for. Where people sign in."""
    from console.control import find_place
    from console.requests import approve_request

    here = find_place()
    request, approver = find_for_approval(here, request_id, "hold", "release")
    confirm(request, approver, is_sure=yes)
    carry_out = _place if request.what == "hold" else _release
    with approve_request(here.home, request, approver):
        carry_out(here, request.values, request.by, approver, as_json)


@legal_hold.command("list")
@click.option("--all", "with_released", is_flag=True, help="Released holds, too.")
@click.option("--json", "as_json", is_flag=True, help="JSON Lines.")
def list_command(with_released: bool, as_json: bool) -> None:
    """Every hold in force: what it takes in, on whose word, who approved it."""
    from console.control import find_place
    from console.legal_holds import describe_criteria, list_holds
    from console.output import format_time, from_us

    found = {id: hold for id, hold in list_holds(find_place()).items() if hold.is_active or with_released}
    if as_json:
        for id, hold in found.items():
            print_json(describe(id, hold))
        return
    rows = [
        (
            id, describe_criteria(hold), hold.authority, hold.reason, f"{hold.placed_by}, {hold.approved_by}",
            format_time(from_us(hold.placed_at)),
            "in force" if hold.is_active else f"released by {hold.released_by}, {hold.release_approved_by}",
        )
        for id, hold in found.items()
    ]  # fmt: skip
    print_table(("id", "takes in", "authority", "reason", "placed by", "at", "state"), rows)


def describe(id: str, hold: "LegalHold") -> dict[str, Any]:
    """A hold as JSON, without what opens its leaf."""
    document = hold.payload()
    del document["opening"]
    return {"id": id, "is_active": hold.is_active, **document}


def show(id: str, hold: "LegalHold", count: "HeldCount | None", as_json: bool) -> None:
    """What was done, and what it takes in now."""
    from console.legal_holds import describe_criteria

    if as_json:
        found = {"events": count.events, "moved": count.moved, "sessions": count.sessions} if count else {}
        print_json({**describe(id, hold), **found})
        return
    state = "is in force" if hold.is_active else "is released"
    held = f"{count.events} events of {count.sessions} sessions, {count.moved} of them past their day" if count else ""
    click.echo(f"hold {id} {state}: {describe_criteria(hold)}")
    click.echo(f"in the store  {held or 'not known: the store does not answer'}")


def _count(hold: "LegalHold") -> "HeldCount | None":
    """The hold stands whether or not the store can be asked."""
    from console.control import find_place
    from console.legal_holds import count_held
    from console.store import QueryFailed, open_store
    from schemas.errors import Unreachable

    try:
        with open_store(find_place()) as store:
            return count_held(store, hold)
    except (Unreachable, QueryFailed):
        return None


def _as_us(moment: datetime | None) -> int:
    return int(moment.timestamp() * 1_000_000) if moment else 0
