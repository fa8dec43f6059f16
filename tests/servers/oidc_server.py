"""oidc-provider, a certified OpenID provider, as a process; and a person who uses it with a browser."""

import os
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx

from tests.servers.build import oidc_provider
from tests.support.ports import get_free_port

START_TIMEOUT_S = 60.0
MAX_STEPS = 20


@dataclass(frozen=True)
class OidcServer:
    """A running provider."""

    issuer: str

    def client_token(self) -> str:
        """A JWT by client credentials, of the workload `planner` for Custody's API."""
        answer = httpx.post(
            f"{self.issuer}/token",
            data={"grant_type": "client_credentials"},
            auth=("planner", "a-secret-of-the-tests-only-a-secret-of-the-tests-only"),
            trust_env=False,
        )
        return str(answer.json()["access_token"])


@contextmanager
def run_server(directory: Path) -> Iterator[OidcServer]:
    """Started on a free port, ended with the test."""
    port = get_free_port()
    with (directory / "oidc.log").open("wb") as log:
        process = subprocess.Popen(
            ["node", "provider.mjs"],
            cwd=oidc_provider().path.parent,
            env={**os.environ, "PORT": str(port)},
            stdout=log,
            stderr=log,
        )
    try:
        server = OidcServer(f"http://127.0.0.1:{port}")
        _wait(server, process, directory / "oidc.log")
        yield server
    finally:
        process.terminate()
        process.wait(30)


def _wait(server: OidcServer, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            httpx.get(f"{server.issuer}/jwks", trust_env=False).raise_for_status()
            return
        except httpx.HTTPError:
            time.sleep(0.1)
    raise AssertionError(log.read_text())


def use_browser(url: str, person: str, stop_at: str = "", **typed: str) -> str:
    """Follow links and send forms as `person` would, until an address that begins with `stop_at`, or a last page.

    The address, or the last page's text.
    """
    fields = {"login": person, "password": "any", **typed}
    with httpx.Client(trust_env=False, timeout=20) as browser:
        answer = browser.get(url)
        for _ in range(MAX_STEPS):
            if answer.is_redirect:
                target = urljoin(str(answer.url), answer.headers["Location"])
                if stop_at and target.startswith(stop_at):
                    return target
                answer = browser.get(target)
                continue
            form = _form_of(answer.text)
            if form is None:
                return answer.text
            action, values = form
            sent = {name: fields.get(name, value) for name, value in values.items()}
            answer = browser.post(urljoin(str(answer.url), action), data=sent)
    raise AssertionError("the provider asks and asks")


def _form_of(page: str) -> tuple[str, dict[str, Any]] | None:
    form = re.search(r"<form\b[^>]*\baction=\"([^\"]+)\"[^>]*>(.*?)</form>", page, re.DOTALL)
    if form is None:
        return None
    values = {}
    for field in re.findall(r"<(?:input|button)\b[^>]*>", form[2]):
        name = re.search(r"\bname=\"([^\"]+)\"", field)
        value = re.search(r"\bvalue=\"([^\"]*)\"", field)
        if name and name[1] != "abort":
            values[name[1]] = unescape(value[1]) if value else ""
    return unescape(form[1]), values
