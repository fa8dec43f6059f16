"""`custody erase`: order that what the store has of somebody goes for good, with a proof that it went lawfully."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from console.commands.two_people import APPROVED_BY, BY, ask, confirm, find_for_approval, name_two
from console.output import EXIT_FINE, EXIT_UNDECIDED, EXIT_VIOLATION, clean, format_time, from_us, print_json

STAND_IN = "whoever will approve it"

if TYPE_CHECKING:
    from console.control import Place
    from console.erasure import Part
    from schemas.events import RetentionAction


@click.command()
@click.option("--session", default="", help="All of one session; its whole id.")
@click.option(
    "--token", "tokens", multiple=True, help="Actions in which a masked value was seen: its token. Repeatable."
)
@click.option("--ground", type=click.Choice(list("abcdef")), default=None, help="Letter of GDPR Article 17(1).")
@click.option("--reference", default="", help="Number of the case. It is kept for ever.")
@BY
@APPROVED_BY
@click.option(
    "--approve", "request_id", default="", metavar="REQUEST", help="Approve what somebody else has asked for."
)
@click.option("--yes", is_flag=True, help="With --approve: do not ask.")
@click.option("--dry-run", is_flag=True, help="Check, and say what would go.")
@click.option("--wait", type=click.FloatRange(0, 86_400), default=0.0, metavar="SECONDS", help="Wait until it is done.")
@click.option("--json", "as_json", is_flag=True)
@click.pass_context
def erase(
    ctx: click.Context, session: str, tokens: tuple[str, ...], ground: str | None, reference: str, by: str,
    approved_by: str, request_id: str, yes: bool, dry_run: bool, wait: float, as_json: bool,
) -> None:  # fmt: skip
    """Erase a session, or every action in which a value was seen. Get the value's tokens from `custody trace`.

    Refused under a legal hold, and inside the least age of the events' class. The order goes into the transparency log
    first; then the rows and what opens their leaves go from the store's disk. The leaves stay, and prove nothing but
    that something was there. Exit code 1 when an order was refused after it was given, 2 when nothing was ordered, or
    the answer did not come in time.
    """
    from console.control import find_place
    from console.requests import approve_request

    place = find_place()
    if request_id:
        if session or tokens or ground or reference or by or approved_by or dry_run:
            raise click.UsageError("--approve takes what was asked for as it is")
        request, approver = find_for_approval(place, request_id, "erase")
        confirm(request, approver, is_sure=yes)
        with approve_request(place.home, request, approver):
            answer = order(place, request.values, request.by, approver, False, wait)
    else:
        if not ground:
            raise click.UsageError("Missing option '--ground'.")
        values = {"session": session, "tokens": list(tokens), "ground": ground, "reference": reference}
        by, approved_by = name_two(place, by, approved_by)
        if not approved_by and not dry_run:
            ask(place, "erase", by, values, "erase --approve", as_json=as_json)
            return
        answer = order(place, values, by, approved_by or STAND_IN, dry_run, wait)
    if as_json:
        print_json(answer)
    else:
        show(answer)
    ctx.exit(exit_code(len(answer["orders"]), answer["answers"], is_waited=bool(wait) and not dry_run))


def order(
    place: "Place", values: dict[str, Any], by: str, approved_by: str, dry_run: bool, wait: float
) -> dict[str, Any]:
    """What was ordered, or would be; what came of it in time; which copies there are."""
    from console import erasure, retention_orders
    from console.store import open_store

    request = erasure.Request(by, approved_by, values["ground"], values["reference"])
    with open_store(place) as store:
        orders, parts = erasure.erase(place, store, request, values["session"], values["tokens"], is_dry=dry_run)
        copies = erasure.list_copies(store, [part.session_id for part in parts], orders[0].at)
        answers = retention_orders.wait_for_answers(store, orders, wait) if wait and not dry_run else []
    return {
        "is_dry_run": dry_run,
        "orders": [describe(order, part) for order, part in zip(orders, parts, strict=True)],
        "answers": answers,
        "copies": copies,
    }


def describe(order: "RetentionAction", part: "Part") -> dict[str, Any]:
    """An order as JSON. `erasing_until` (µs): until then a copy lives on Kafka."""
    from sinks.transparency.audit import KAFKA_RETENTION_US

    return {
        "order_id": order.order_id,
        "session_id": part.session_id,
        "events": len(part.seqs),
        "is_whole_session": part.is_whole,
        "is_open_session": part.is_open,
        "erasing_until": order.at + KAFKA_RETENTION_US,
    }


def exit_code(orders: int, answers: list[dict[str, Any]], *, is_waited: bool) -> int:
    """Fine, refused, or not known in time."""
    if any(answer["action"] == "refused" for answer in answers):
        return EXIT_VIOLATION
    return EXIT_UNDECIDED if is_waited and len(answers) < orders else EXIT_FINE


def show(document: dict[str, Any]) -> None:
    """The same for people."""
    verb = "would be ordered" if document["is_dry_run"] else "ordered"
    for order in document["orders"]:
        extent = "the whole session" if order["is_whole_session"] else f"{order['events']} events"
        until = format_time(from_us(order["erasing_until"]))
        click.echo(clean(f"{verb}  {order['order_id']}: {extent} {order['session_id']}; erasing until {until}"))
        if order["is_open_session"]:
            click.echo("         the session is still open: what it does from now on is not erased")
    for answer in document["answers"]:
        click.echo(
            clean(f"{answer['action']}  {answer['order_id']}: {answer['rows']} events {answer['reason']}".rstrip())
        )
    click.echo("copies that this does not erase:")
    for copy in document["copies"]:
        until = f"until {datetime.fromtimestamp(copy['until'] / 1e6, UTC):%Y-%m-%d %H:%M} UTC" if copy["until"] else ""
        click.echo(clean(f"  {copy['where']}: {' '.join(filter(None, (copy['what'], until)))}"))
