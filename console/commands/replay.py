"""`custody replay SESSION`: what was asked, what policy said, what came back, in order."""

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import click

from console.output import print_json
from schemas.events import EventKind

if TYPE_CHECKING:
    from console.events import Row
    from console.store import Store

PAGE: Final = 500
POLL_S: Final = 0.5


@click.command()
@click.argument("session")
@click.option("--follow", is_flag=True, help="Go on until the session is closed.")
@click.option("--json", "as_json", is_flag=True, help="Events as JSON Lines.")
def replay(session: str, follow: bool, as_json: bool) -> None:
    """Show a session again, step by step. The first characters of its id suffice."""
    from console.control import find_place
    from console.events import as_document
    from console.reading import find_session
    from console.replay import render, render_header
    from console.store import open_store

    with open_store(find_place()) as store:
        context = find_session(store, session)
        if not as_json:
            click.echo("\n".join(render_header(context)) + "\n")
        for row in read_events(store, context["session_id"], follow):
            if as_json:
                print_json(as_document(row))
            else:
                click.echo("\n".join(render(row)))


def read_events(store: "Store", session_id: str, follow: bool = False) -> Iterator["Row"]:
    """Events in order, page by page; with `follow` until session.closed."""
    from console.reading import read_page

    after = 0
    while True:
        page = read_page(store, session_id, after, PAGE)
        yield from page
        after = page[-1].seq if page else after
        is_over = bool(page) and page[-1].kind == EventKind.SESSION_CLOSED
        if is_over or (len(page) < PAGE and not follow):
            return
        if len(page) < PAGE:
            time.sleep(POLL_S)
