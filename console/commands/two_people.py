"""Commands that take two people: both named where nobody signs in; else one asks, and the other approves by their own
sign-in."""

from typing import TYPE_CHECKING, Any

import click

from console.output import clean, format_time, from_us, print_json

if TYPE_CHECKING:
    from console.control import Place
    from console.requests import Request

BY = click.option("--by", default="", metavar="NAME", help="Who asks for it; where people sign in, who is signed in.")
APPROVED_BY = click.option(
    "--approved-by", default="", metavar="NAME", help="Who approves it, somebody else; not where people sign in."
)


def name_two(place: "Place", by: str, approved_by: str) -> tuple[str, str]:
    """Who asks and who approves; "" for who has yet to approve. Raises ConfigError, Unreachable, UsageError."""
    from console.acting import do_people_sign_in, who_acts
    from schemas.errors import ConfigError

    if not do_people_sign_in(place.settings):
        for name, given in (("--by", by), ("--approved-by", approved_by)):
            if not given:
                raise click.UsageError(f"Missing option '{name}'.")
        return by, approved_by
    if approved_by:
        raise ConfigError("who approves signs in, too: leave --approved-by out")
    return who_acts(place, by, "--by", is_here=True).principal, ""


def ask(place: "Place", what: str, by: str, values: dict[str, Any], command: str, *, as_json: bool) -> None:
    """Keep what is asked for until somebody else approves it, and say how."""
    from console.requests import keep_request

    request = keep_request(place.home, what, by, values)
    if as_json:
        print_json({"request_id": request.id, "by": by, "what": what})
        return
    click.echo(f"request {request.id} waits, for a week at most, for somebody else who is signed in:")
    click.echo(f"  custody {command} {request.id}")


def find_for_approval(place: "Place", id: str, *kinds: str) -> tuple["Request", str]:
    """What is to be approved, and who approves it: not who asked. Raises ConfigError, Unreachable."""
    from console.acting import do_people_sign_in, who_acts
    from console.requests import find_request
    from schemas.errors import ConfigError
    from schemas.holds import require_two

    if not do_people_sign_in(place.settings):
        raise ConfigError("nobody signs in here: name both people, --by and --approved-by")
    request = find_request(place.home, id, *kinds)
    approver = who_acts(place, "", "a name", is_here=True).principal
    try:
        require_two(request.by, approver)
    except ValueError as error:
        raise ConfigError(str(error)) from None
    return request, approver


def confirm(request: "Request", approver: str, *, is_sure: bool) -> None:
    """Show what is approved, and ask. Raises Abort."""
    click.echo(f"{request.what}, asked for by {clean(request.by)} at {format_time(from_us(request.at))}", err=True)
    for name, value in request.values.items():
        if value not in ("", 0, [], False, None):
            click.echo(clean(f"  {name}: {value}"), err=True)
    if not is_sure:
        click.confirm(f"approve this as {clean(approver)}?", abort=True, err=True)
