"""The demo's executor: does the planner's steps, each with the only access it has: Custody's proxies."""

import base64
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from console.demo.plan import Step, Tool, marker
from schemas.errors import Unreachable

TIMEOUT_S: Final = 30


@dataclass(frozen=True, slots=True)
class Access:
    """Where the agent may go. URLs carry its credential and are never printed."""

    run_id: str
    postgres_url: str
    api_url: str  # the HTTP resource's own port
    login: str  # id:secret
    proxy_url: str  # the regular HTTP proxy
    web_url: str  # the API's own address, reached through that proxy

    def __repr__(self) -> str:
        return f"Access(run_id={self.run_id!r})"


@dataclass(frozen=True, slots=True)
class Done:
    """A step and how it ended: a SQLSTATE or HTTP status, and what the agent saw, in short."""

    step: Step
    outcome: str
    seen: str

    @property
    def is_as_planned(self) -> bool:
        return self.outcome == self.step.expect


def execute(access: Access, steps: list[Step]) -> Iterator[Done]:
    """Do the steps in order. Raises Unreachable when a proxy is not there."""
    with _connect(access.postgres_url) as connection:
        tools = {
            Tool.SQL: lambda step: _run_sql(connection, access, step),
            Tool.API: lambda step: _call(access, step, access.api_url, None),
            Tool.WEB: lambda step: _call(access, step, access.web_url, access.proxy_url),
        }
        for step in steps:
            yield Done(step, *tools[step.tool](step))


@contextmanager
def _connect(url: str) -> Iterator[Any]:
    import psycopg

    try:
        connection = psycopg.connect(url, autocommit=True, connect_timeout=TIMEOUT_S)
    except psycopg.Error as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise Unreachable(f"the PostgreSQL proxy refused the agent: {reason}") from None
    with connection:
        yield connection


def _run_sql(connection: Any, access: Access, step: Step) -> tuple[str, str]:
    import psycopg

    statement = f"/* {marker(access.run_id, step)} */ {step.text}"
    try:
        cursor = connection.execute(statement, step.parameters or None)
    except psycopg.Error as error:
        return error.sqlstate or "error", type(error).__name__
    return "00000", f"{cursor.rowcount} rows" if cursor.description else cursor.statusmessage or ""


def _call(access: Access, step: Step, base: str, proxy: str | None) -> tuple[str, str]:
    body = str(step.parameters[0]).encode() if step.parameters else None
    request = urllib.request.Request(  # noqa: S310 - both addresses are this stack's own, http
        f"{base}{step.text}?step={marker(access.run_id, step)}", data=body, method=step.method
    )
    if body is not None:
        request.add_header("Content-Type", "application/json")
    if proxy is None:
        request.add_header("Authorization", "Basic " + base64.b64encode(access.login.encode()).decode())
    # An explicit handler: the environment's proxies and its exceptions have no say here.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({"http": proxy} if proxy else {}))
    try:
        with opener.open(request, timeout=TIMEOUT_S) as response:
            return str(response.status), f"{len(response.read())} bytes"
    except urllib.error.HTTPError as error:
        with error:
            return str(error.code), f"{len(error.read())} bytes"
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        raise Unreachable(f"step {step.number} ({step.purpose}): {getattr(error, 'reason', error)}") from None
