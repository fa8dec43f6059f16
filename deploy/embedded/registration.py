"""What a fresh stack writes to control, as the API: the keys of its proxies and writers, and the demo's resources."""

from collections.abc import Mapping
from typing import Any, Final

from deploy.embedded.postgres import DATABASE, SUPERUSER
from deploy.embedded.process import LOOPBACK
from deploy.embedded.secrets import DEMO_HTTP_LOGIN, DEMO_POSTGRES_LOGIN, KEYHOLDER, PROXIES
from schemas.config import Settings
from schemas.events import ControlKind
from schemas.resources import Key, Resource, Upstream
from schemas.runtime import Home
from schemas.wire.control import ControlView, ControlWriter

API: Final = "api"
READ_TIMEOUT_S: Final = 20.0
WRITER_KINDS: Final = {"detect": (ControlKind.QUARANTINE,)}
"""Who besides the API may write control, and what."""

Entries = dict[tuple[ControlKind, str], dict[str, Any]]


def register(settings: Settings, home: Home) -> list[str]:
    """Write the entries that are missing or differ; their names as `kind/id`. Raises Unreachable."""
    view = ControlView(settings, home, API)
    view.start(READ_TIMEOUT_S)
    try:
        wanted = make_keys(home) | make_resources(settings, view.all(ControlKind.RESOURCE))
        changes = {(kind, id): new for (kind, id), new in wanted.items() if view.get(kind, id) != new}
    finally:
        view.close()
    if changes:
        writer = ControlWriter(settings, home)
        for (kind, id), entry in changes.items():
            writer.put(kind, id, entry)
    return [f"{kind.value}/{id}" for kind, id in changes]


def make_keys(home: Home) -> Entries:
    """Public keys by which batches and control entries are verified. API and key holder record events of their own."""
    signers = {name: Key(public=home.read_public(name).hex()) for name in (*PROXIES, API, KEYHOLDER)}
    writers = {
        name: Key(public=home.read_public(name).hex(), kinds=[kind.value for kind in kinds])
        for name, kinds in WRITER_KINDS.items()
    }
    return {(ControlKind.PROXY_KEY, name): key.model_dump(mode="json") for name, key in signers.items()} | {
        (ControlKind.WRITER_KEY, name): key.model_dump(mode="json") for name, key in writers.items()
    }


def make_resources(settings: Settings, present: Mapping[str, Mapping[str, Any]]) -> Entries:
    """The demo's two resources. Of one that is present only the addresses are brought up to date."""
    entries: Entries = {}
    for resource in demo_resources(settings):
        new = resource.model_dump(mode="json")
        if old := present.get(resource.name):
            upstream = {**old.get("upstream", {}), "host": resource.upstream.host, "port": resource.upstream.port}
            new = {**old, "listen": resource.listen, "upstream": upstream}
        entries[(ControlKind.RESOURCE, resource.name)] = new
    return entries


def demo_resources(settings: Settings) -> tuple[Resource, ...]:
    """`demo-postgres` and `demo-http`, at the ports of the settings."""
    ports = settings.ports
    return (
        Resource(
            name="demo-postgres",
            protocol="postgres",
            listen=ports.demo_postgres_proxy,
            upstream=Upstream(
                host=LOOPBACK,
                port=ports.demo_postgres,
                user=SUPERUSER,
                database=DATABASE,
                secret=f"file:{DEMO_POSTGRES_LOGIN}",
            ),
        ),
        Resource(
            name="demo-http",
            protocol="http",
            listen=ports.demo_http_proxy,
            upstream=Upstream(host=LOOPBACK, port=ports.demo_http, secret=f"file:{DEMO_HTTP_LOGIN}"),
        ),
    )
