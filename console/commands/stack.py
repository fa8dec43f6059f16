"""`custody up`, `down`, `status`: the embedded stack. `deploy` starts processes; here it is asked to, and told on."""

import time

import click

from console import control
from console.output import EXIT_FINE, EXIT_VIOLATION, print_json
from console.table import print_table
from schemas.runtime import read_run_state

HEALTHY = "up"
STYLES = {"up": "green", "starting": "yellow", "restarting": "red", "down": "red", "alarm": "bold red"}


@click.command()
def up() -> None:
    """Start the embedded stack; what runs already stays. Returns when every part serves."""
    place = control.find_place()
    started = time.monotonic()
    start_stack(place)
    seconds = time.monotonic() - started
    click.echo(f"up in {seconds:.1f} s; home {place.home.root}; try `custody connect demo-postgres`")


def start_stack(place: control.Place) -> None:
    """Start what does not run yet. Raises CustodyError."""
    from deploy.embedded import stack

    stack.up(place.home, say_nothing if is_up(place) else stack.say_on_stderr)


def is_up(place: control.Place) -> bool:
    """Whether the whole stack serves now, as its supervisor says."""
    state = read_run_state(place.home, "supervisor")
    return state is not None and state.is_ready and state.is_alive()


def say_nothing(line: str) -> None:
    """No progress is worth a line where nothing has to be started."""


@click.command()
def down() -> None:
    """Stop the embedded stack. Its data stays in the home directory."""
    from deploy.embedded import stack

    click.echo("stopped" if stack.down(control.find_place().home) else "nothing was running")


@click.command()
@click.option("--json", "as_json", is_flag=True)
@click.pass_context
def status(ctx: click.Context, as_json: bool) -> None:
    """Show each part, its health and its lag. Exit code 1 when a part does not serve or has an alarm."""
    from dataclasses import asdict

    from deploy.embedded import stack

    place = control.find_place()
    parts = stack.status(place.home)
    limits = stack.describe_limits(place.settings)
    if as_json:
        print_json({"parts": [asdict(part) for part in parts], "limits": list(limits)})
    else:
        rows = (
            (
                part.name,
                part.pid or "",
                part.health,
                "" if part.lag is None else part.lag,
                _ports(part.ports),
                part.detail,
            )
            for part in parts
        )
        print_table(("part", "pid", "health", "lag", "ports", "detail"), rows, styles=STYLES)
        for note in filter(None, (*limits, control.fault_of_home(place))):
            click.echo(f"note: {note}")
    ctx.exit(EXIT_FINE if all(part.health == HEALTHY for part in parts) else EXIT_VIOLATION)


def _ports(ports: dict[str, int]) -> str:
    return " ".join(f"{name}:{port}" for name, port in ports.items())
