"""`custody kafka`: prepare a Kafka cluster of one's own. The administrator's password is never an argument."""

import sys
from typing import Final

import click

from console.output import print_json
from schemas.errors import ConfigError

MAX_PASSWORD_CHARS: Final = 4096


@click.group()
def kafka() -> None:
    """Prepare a Kafka of your own (`kafka.bootstrap`)."""


@kafka.command("apply")
@click.option("--admin", "name", required=True, metavar="LOGIN", help="May create topics, ACLs and logins there.")
@click.option("--mechanism", type=click.Choice(["SCRAM-SHA-256", "SCRAM-SHA-512", "PLAIN"]), default="SCRAM-SHA-256",
              show_default=True, help="How that login signs in.")  # fmt: skip
@click.option("--no-logins", is_flag=True, help="Set no SCRAM logins: the cluster's own tools do.")
@click.option("--json", "as_json", is_flag=True)
def apply(name: str, mechanism: str, no_logins: bool, as_json: bool) -> None:
    """Create what is missing: logins, ACLs, topics, first control entries. What others have there stays.

    The login's password is read from standard input, or at the prompt. Run it again after a new version of Custody.
    """
    from console.control import find_place
    from console.kafka import Administrator, apply_kafka

    place = find_place()
    admin = Administrator(name, read_password(name), mechanism)
    done = apply_kafka(place.settings, place.home, admin, sets_logins=not no_logins)
    if as_json:
        print_json(vars(done))
        return
    click.echo(f"logins set: {done.logins}; ACLs created: {done.acls}")
    click.echo(f"topics created: {', '.join(done.topics) or 'none, all were there'}")
    click.echo(f"control entries written: {', '.join(done.entries) or 'none, all were there'}")


def read_password(name: str) -> str:
    """Without echo at a terminal, else the first line of standard input. Raises ConfigError."""
    if sys.stdin.isatty():
        return str(click.prompt(f"password of {name}", hide_input=True, err=True))
    password = sys.stdin.readline(MAX_PASSWORD_CHARS).rstrip("\r\n")
    if not password:
        raise ConfigError(f"the password of {name} is expected on standard input")
    return password
