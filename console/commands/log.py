"""`custody log`: where the transparency log is, what it is called, which key verifies it."""

import click

from console.output import print_json


@click.command()
@click.option("--policy", "as_policy", is_flag=True, help="Print the policy: log, witnesses, quorum.")
@click.option("--json", "as_json", is_flag=True)
def log(as_policy: bool, as_json: bool) -> None:
    """Show the transparency log: its directory, its origin, its verifier key.

    The directory may be given to anybody: it is a C2SP tlog-tiles log that other tools read, too.
    """
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
