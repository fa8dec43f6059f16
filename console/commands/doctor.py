"""`custody doctor`: is this machine fit, and is the home as it should be."""

import click

from console.output import EXIT_FINE, EXIT_VIOLATION, print_json

MARKS = {"fine": "ok  ", "warn": "warn", "bad": "BAD "}


@click.command()
@click.option("--json", "as_json", is_flag=True)
@click.pass_context
def doctor(ctx: click.Context, as_json: bool) -> None:
    """Check Python, Java, Maven, disk, clock, home and ports. Exit code 1 when something is bad."""
    from console.control import find_place
    from console.doctor import Health, check_all

    findings = check_all(find_place())
    if as_json:
        print_json([{"check": f.check, "health": f.health, "detail": f.detail, "advice": f.advice} for f in findings])
    else:
        for finding in findings:
            advice = f" -> {finding.advice}" if finding.advice else ""
            click.echo(f"{MARKS[finding.health]} {finding.check}: {finding.detail}{advice}")
    ctx.exit(EXIT_VIOLATION if any(f.health is Health.BAD for f in findings) else EXIT_FINE)
