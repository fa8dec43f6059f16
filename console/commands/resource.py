"""`custody resource`: what agents may act on."""

from typing import Any

import click

from console import control, registry
from console.commands.apply import report
from console.output import print_json
from console.table import print_table
from schemas.errors import ConfigError
from schemas.resources import Document, Resource, parse_document

PROTOCOLS = ("postgres", "http", "tcp")
WITHOUT_OPTION = ("on_opaque", "agent_login", "speaks", "limits")
UPSTREAM_WITHOUT_OPTION = ("ca_file", "header", "scheme")


@click.group()
def resource() -> None:
    """Add, list, test and remove resources."""


@resource.command("add")
@click.argument("name")
@click.option("--protocol", type=click.Choice(PROTOCOLS), required=True, help="How its bytes are understood.")
@click.option("--listen", type=click.IntRange(0, 65535), required=True, help="Port of the proxy for it.")
@click.option("--upstream", required=True, metavar="HOST:PORT", help="Where it really is.")
@click.option("--user", default="", help="User the proxy logs in as.")
@click.option("--database", default="", help="PostgreSQL: database when the agent names none.")
@click.option("--secret", default="", metavar="KIND:WHERE", help="Where the upstream's secret is: env:NAME, vault:…")
@click.option("--tls", type=click.Choice(["off", "require", "verify"]), default="off", help="TLS to the upstream.")
@click.option("--principal", default="", help="tcp only: whose authority is used.")
@click.option("--record", type=click.Choice(["complete", "request", "best_effort"]), default="complete")
@click.option("--on-audit-failure", type=click.Choice(["block", "spool"]), default="block")
@click.option("--retention-class", default="standard", help="Retention class of its events.")
@click.option("--label", "labels", multiple=True, metavar="KEY=VALUE", help="Free label; may be repeated.")
@click.option("--json", "as_json", is_flag=True)
def add(name: str, listen: int, upstream: str, labels: tuple[str, ...], as_json: bool, **options: str) -> None:
    """Register a resource, or change it. More settings (limits, on_opaque, …): `custody apply -f`.

    What the options do not say takes its default again; what has no option stays as it was.
    """
    document = make_document(name, listen, upstream, labels, options)
    place = control.find_place()
    with control.open_view(place) as view:
        document = keep_what_has_no_option(document, control.resources_of(view).get(name))
        changes = registry.apply_document(place, view, document)
    report(changes, as_json)


def keep_what_has_no_option(document: Document, before: Resource | None) -> Document:
    """The document with those settings of the resource that only a file can have given it."""
    (entry,) = document.resources
    if before is None or before.protocol != entry.protocol:
        return document
    upstream = {key: getattr(before.upstream, key) for key in UPSTREAM_WITHOUT_OPTION}
    kept: dict[str, Any] = {key: getattr(before, key) for key in WITHOUT_OPTION}
    entry = entry.model_copy(update=kept | {"upstream": entry.upstream.model_copy(update=upstream)})
    return document.model_copy(update={"resources": type(document.resources)((entry,))})


def make_document(name: str, listen: int, upstream: str, labels: tuple[str, ...], options: dict[str, str]) -> Document:
    """One resource out of the command line's values. Raises ConfigError with all faults."""
    host, _, port = upstream.rpartition(":")
    if not host or not port.isdecimal():
        raise ConfigError(f"--upstream must be HOST:PORT, not {upstream!r}")
    pairs = [label.partition("=") for label in labels]
    if any(not equals for _, equals, _ in pairs):
        raise ConfigError("--label must be KEY=VALUE")
    behind = {key: options.pop(key) for key in ("user", "database", "secret", "tls")}
    fields = options | {
        "name": name,
        "listen": listen,
        "upstream": behind | {"host": host.strip("[]"), "port": int(port)},
        "labels": {key: value for key, _, value in pairs},
    }
    return parse_document({"resources": [fields]}, "resource")


@resource.command("list")
@click.option("--json", "as_json", is_flag=True)
def list_(as_json: bool) -> None:
    """List the registered resources. `retention_class` is what their sessions are recorded under."""
    place = control.find_place()
    with control.open_view(place) as view:
        found = control.resources_of(view)
    classes = {name: registry.class_of(entry, place.settings.retention) for name, entry in found.items()}
    if as_json:
        print_json([entry.model_dump() | {"retention_class": classes[name]} for name, entry in found.items()])
        return
    rows = (
        (
            entry.name,
            entry.protocol,
            entry.listen,
            f"{entry.upstream.host}:{entry.upstream.port}",
            entry.record,
            entry.on_audit_failure,
            classes[entry.name],
            " ".join(f"{key}={value}" for key, value in sorted(entry.labels.items())),
        )
        for entry in found.values()
    )
    columns = ("name", "protocol", "listen", "upstream", "record", "on_audit_failure", "retention_class", "labels")
    print_table(columns, rows)


@resource.command("remove")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True)
def remove(name: str, as_json: bool) -> None:
    """Remove a resource: its listener closes. What was recorded stays."""
    place = control.find_place()
    with control.open_view(place) as view:
        changes = registry.remove_resource(place, view, name)
    report(changes, as_json)


@resource.command("test")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True)
@click.pass_context
def test(ctx: click.Context, name: str, as_json: bool) -> None:
    """Check that the upstream answers, its secret is there, and the proxy listens."""
    from console.probes import probe_resource

    place = control.find_place()
    with control.open_view(place) as view:
        entry = control.require_resource(view, name)
    results = probe_resource(place, entry)
    if as_json:
        print_json([{"check": result.name, "ok": result.is_ok, "detail": result.detail} for result in results])
    else:
        for result in results:
            click.echo(f"{'ok  ' if result.is_ok else 'FAIL'} {result.name}: {result.detail}")
    ctx.exit(0 if all(result.is_ok for result in results) else 2)
