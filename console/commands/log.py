"""`custody log`: where the transparency log is, what it is called, which key verifies it; and changing that key."""

import click

from console.output import EXIT_FINE, EXIT_UNDECIDED, print_json


@click.group(invoke_without_command=True)
@click.option("--policy", "as_policy", is_flag=True, help="Print the policy: log, witnesses, quorum.")
@click.option("--json", "as_json", is_flag=True)
@click.pass_context
def log(ctx: click.Context, as_policy: bool, as_json: bool) -> None:
    """Show the transparency log: its directory, its origin, its verifier key.

    The directory may be given to anybody: it is a C2SP tlog-tiles log that other tools read, too.
    """
    if ctx.invoked_subcommand is not None:
        return
    from console.control import find_place, require_home
    from sinks.transparency.log import read_checkpoint
    from sinks.transparency.note import parse_note
    from sinks.transparency.place import find_log
    from sinks.transparency.quorum import encode_policy, find_cosigners
    from sinks.transparency.storage import DirectoryStorage

    place = require_home(find_place())
    found = find_log(place.settings, place.home)
    if as_policy:
        click.echo(encode_policy(found.policy), nl=False)
        return
    published = read_checkpoint(DirectoryStorage(found.directory))
    size = published[0].size if published else 0
    cosigners = find_cosigners(parse_note(published[1]), found.policy) if published else {}
    described = {
        "directory": str(found.directory),
        "origin": found.origin,
        "vkey": found.verifier.vkey,
        "size": size,
        "witnesses": sorted(cosigners),
        "is_witnessed": found.policy.is_met(list(cosigners)),
    }
    if as_json:
        print_json(described)
        return
    click.echo(f"directory  {found.directory}\norigin     {found.origin}\nvkey       {found.verifier.vkey}")
    click.echo(f"size       {size}\nwitnessed  by {', '.join(sorted(cosigners)) or 'nobody'}")


@log.command("rotate-key")
@click.option("--prepare", is_flag=True, help="Only make the next key and print it, to tell witnesses and policies.")
@click.option("--wait", type=click.FloatRange(0, 3600), default=30.0, show_default=True, metavar="SECONDS")
@click.option("--json", "as_json", is_flag=True)
@click.pass_context
def rotate_key(ctx: click.Context, prepare: bool, wait: float, as_json: bool) -> None:
    """Sign the log's heads with a new key. A leaf names it, and the old key signs that leaf before it goes.

    Witnesses of your own have to know the new key first: `--prepare` makes it and prints it. Exit code 2 when the
    running sink has not changed over in time; it does so once it can.
    """
    from console.control import find_place
    from console.log_rotation import prepare_rotation, rotate, wait_for_key

    place = find_place()
    verifier = prepare_rotation(place) if prepare else rotate(place)
    is_done = not prepare and wait_for_key(place, verifier, wait)
    if as_json:
        print_json({"vkey": verifier.vkey, "is_in_use": is_done})
    else:
        state = "prepared" if prepare else "in use" if is_done else "announced; not in use yet"
        click.echo(f"{verifier.vkey}  {state}")
    ctx.exit(EXIT_FINE if is_done or prepare else EXIT_UNDECIDED)
