"""The `custody` command. Each command is a line in COMMANDS and a file; nothing heavy is imported before it runs."""

import os
import resource
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final

import click

from console.output import EXIT_INTERRUPTED, EXIT_NOT_READ, EXIT_UNDECIDED, fail, internal_failure


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a command lives (`module:attribute`) and what `--help` says of it."""

    target: str
    help: str


COMMANDS: Final = {
    "up": Entry("console.commands.stack:up", "Start the embedded stack; what runs already stays."),
    "down": Entry("console.commands.stack:down", "Stop the embedded stack; its data stays."),
    "status": Entry("console.commands.stack:status", "Show each part, its health and its lag."),
    "kafka": Entry("console.commands.kafka:kafka", "Prepare a Kafka of your own."),
    "doctor": Entry("console.commands.doctor:doctor", "Check this machine and the home directory."),
    "resource": Entry("console.commands.resource:resource", "Add, list, test and remove resources."),
    "apply": Entry("console.commands.apply:apply", "Bring control to what a file says."),
    "connect": Entry("console.commands.connect:connect", "A ready URL for a resource, with a fresh credential."),
    "login": Entry("console.commands.login:login", "Sign in, so that what you do is done in your name."),
    "logout": Entry("console.commands.login:logout", "End your session."),
    "whoami": Entry("console.commands.login:whoami", "Who you are, and what you may do."),
    "agent": Entry("console.commands.agent:agent", "Issue, list and revoke agent credentials."),
    "approvals": Entry("console.commands.approvals:approvals", "List what waits for a person; approve or deny it."),
    "api": Entry("console.commands.api:api", "Serve the REST API."),
    "quarantine": Entry("console.commands.quarantine:quarantine", "Stop an agent, a principal or a session."),
    "query": Entry("console.commands.query:query", "Run SQL on the record, read-only."),
    "sessions": Entry("console.commands.sessions:sessions", "List sessions."),
    "replay": Entry("console.commands.replay:replay", "Show a session again, step by step."),
    "tail": Entry("console.commands.tail:tail", "Show events as they arrive."),
    "alerts": Entry("console.commands.alerts:alerts", "List detections."),
    "keys": Entry("console.commands.keys:keys", "List and rotate the token key and the unsealing key."),
    "secrets": Entry("console.commands.secrets:secrets", "Keep upstreams' secrets in an encrypted file."),
    "trace": Entry("console.commands.trace:trace", "Who ever saw or sent a value (on standard input)."),
    "mask": Entry("console.commands.mask:mask", "Mask text on standard input."),
    "policy": Entry("console.commands.policy:policy", "Check, test, backtest and list policies; classify statements."),
    "verify": Entry("console.commands.verify:verify", "Check the record: integrity, completeness, coverage."),
    "dead-letter": Entry("console.commands.dead_letter:dead_letter", "What masking refused for good; redrive it."),
    "legal-hold": Entry("console.commands.legal_hold:legal_hold", "Place, release and list legal holds."),
    "erase": Entry("console.commands.erase:erase", "Erase what the store has of somebody (GDPR Art. 17)."),
    "retention": Entry("console.commands.retention:retention", "What is kept how long, what goes when, what went."),
    "evidence": Entry("console.commands.evidence:evidence", "Export evidence that proves itself, and verify it."),
    "drill": Entry("console.commands.drill:drill", "Attack a copy of the record, and say what caught each attack."),
    "log": Entry("console.commands.log:log", "Show the transparency log: directory, origin, verifier key."),
    "witness": Entry("console.commands.witness:witness", "Cosign the checkpoints of transparency logs."),
    "config": Entry("console.commands.config:config", "Show settings, their schema and their reference page."),
    "demo": Entry("console.commands.demo:demo", "Run a sample agent through the proxies and check its trail."),
}


class _ReaderLeft(Exception):
    """Whoever read the output went away before its end."""


class Commands(click.Group):
    """A group that imports a command when it is called, and lists all of them without importing any."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise _ReaderLeft from None  # of a BrokenPipeError click would make exit code 1, which is a violation here

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        module, _, attribute = entry.target.partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in COMMANDS.items()])


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="custody", message="custody %(version)s")
def cli() -> None:
    """Custody, the flight recorder for AI agents.

    The home directory is $CUSTODY_HOME, else ./.custody. Exit codes: 0 fine, 1 a violation was found, 2 could not
    decide (bad input, unreachable).
    """


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit code. Every error becomes one line on standard error."""
    try:
        code: Any = cli.main(args=list(sys.argv[1:] if arguments is None else arguments), standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return EXIT_UNDECIDED
    except click.ClickException as error:
        return fail(error.format_message())
    except (KeyboardInterrupt, click.Abort):
        return EXIT_INTERRUPTED
    except (_ReaderLeft, BrokenPipeError):
        # What is left in the buffers goes nowhere, so that the interpreter's last flush is silent.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_NOT_READ
    except Exception as error:
        return internal_failure(error)


def open_closed_streams() -> None:
    """A standard stream that the caller has closed becomes an empty one, as if it were /dev/null."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))


def main() -> None:
    """The `custody` entry point. What it was told, a value to trace say, is in no core dump either."""
    resource.setrlimit(resource.RLIMIT_CORE, (1, 1))  # as schemas/runtime.py does, which a `--help` need not load
    open_closed_streams()
    sys.exit(run())


if __name__ == "__main__":
    main()
