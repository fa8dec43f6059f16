"""`custody demo`: a planner-executor agent at work, and what Custody has of it."""

import click


@click.command()
@click.option("--keep", is_flag=True, help="Leave the stack running if it was started for this.")
@click.pass_context
def demo(ctx: click.Context, keep: bool) -> None:
    """Run a sample agent through the proxies, print its trail and a replay, and check both.

    The stack is started if it does not run, and then stopped again at the end. Exit code 1 when a check fails.
    """
    from console.control import find_place
    from console.demo.runner import with_stack

    ctx.exit(with_stack(find_place(), keep))
