"""`custody config`: the settings in force, their JSON Schema, their reference page."""

import click

from console.commands.apply import read_text
from console.output import print_json


@click.group()
def config() -> None:
    """Show settings, their schema and their reference page."""


@config.command("show")
@click.option("--json", "as_json", is_flag=True)
def show(as_json: bool) -> None:
    """The settings in force: the file's, and the defaults of the rest."""
    import yaml

    from schemas.config import find_settings

    document = find_settings().model_dump(mode="json")
    if as_json:
        print_json(document)
    else:
        click.echo(yaml.safe_dump(document, sort_keys=False), nl=False)


@config.command("check")
@click.argument("file")
def check(file: str) -> None:
    """Check a settings file; every fault is reported, each with its path."""
    from schemas.config import parse_settings

    parse_settings(read_text(file), file)
    click.echo(f"{file}: fine")


@config.command("schema")
@click.argument("model", type=click.Choice(["settings", "resources"]), default="settings")
def schema(model: str) -> None:
    """JSON Schema of custody.yaml, or of a file for `custody apply -f`."""
    from console.config_docs import MODELS

    print_json(MODELS[model].model_json_schema())


@config.command("docs")
def docs() -> None:
    """The reference page of all settings, in Markdown."""
    from console.config_docs import make_page

    click.echo(make_page(), nl=False)
