"""`custody erase`: order that what the store has of somebody goes for good, with a proof that it went lawfully."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from console.output import EXIT_FINE, EXIT_UNDECIDED, EXIT_VIOLATION, clean, format_time, from_us, print_json

if TYPE_CHECKING:
    from console.erasure import Part
    from schemas.events import RetentionAction


@click.command()
@click.option("--session", default="", help="All of one session; its whole id.")
@click.option(
    "--token", "tokens", multiple=True, help="Actions in which a masked value was seen: its token. Repeatable."
)
@click.option("--ground", type=click.Choice(list("abcdef")), required=True, help="Letter of GDPR Article 17(1).")
@click.option("--reference", default="", help="Number of the case. It is kept for ever.")
@click.option("--by", required=True, metavar="NAME", help="Who asks for it.")
@click.option("--approved-by", required=True, metavar="NAME", help="Who approves it: somebody else.")
@click.option("--dry-run", is_flag=True, help="Check, and say what would go.")
@click.option("--wait", type=click.FloatRange(0, 86_400), default=0.0, metavar="SECONDS", help="Wait until it is done.")
@click.option("--json", "as_json", is_flag=True)
@click.pass_context
def erase(
    ctx: click.Context, session: str, tokens: tuple[str, ...], ground: str, reference: str, by: str, approved_by: str,
    dry_run: bool, wait: float, as_json: bool,
) -> None:  # fmt: skip
    """Erase a session, or every action in which a value was seen. Get the value's tokens from `custody trace`.

    Refused under a legal hold, and inside the least age of the events' class. The order goes into the transparency log
    first; then the rows and what opens their leaves go from the store's disk. The leaves stay, and prove nothing but
    that something was there. Exit code 1 when an order was refused after it was given, 2 when nothing was ordered, or
    the answer did not come in time.
    """
    from console import erasure, retention_orders
    from console.control import find_place
    from console.store import open_store

    place = find_place()
    request = erasure.Request(by, approved_by, ground, reference)
    with open_store(place) as store:
        orders, parts = erasure.erase(place, store, request, session, tokens, is_dry=dry_run)
        copies = erasure.list_copies(store, [part.session_id for part in parts], orders[0].at)
        answers = retention_orders.wait_for_answers(store, orders, wait) if wait and not dry_run else []
    document = {
        "is_dry_run": dry_run,
        "orders": [describe(order, part) for order, part in zip(orders, parts, strict=True)],
        "answers": answers,
        "copies": copies,
    }
    if as_json:
        print_json(document)
    else:
        show(document)
    ctx.exit(exit_code(len(orders), answers, is_waited=bool(wait) and not dry_run))


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
