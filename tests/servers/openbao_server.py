"""OpenBao as a process: in memory, over TLS with an authority of its own, on a free port."""

import os
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.servers.build import openbao
from tests.support.ports import get_free_port

ROOT_TOKEN = "root-of-the-tests"
START_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class OpenBao:
    """A running server."""

    url: str
    ca_file: Path

    def ask(self, method: str, path: str, body: object = None, *, namespace: str = "") -> Any:
        """One request of root, which must succeed; the answer's JSON."""
        headers = {"X-Vault-Token": ROOT_TOKEN} | ({"X-Vault-Namespace": namespace} if namespace else {})
        context = ssl.create_default_context(cafile=self.ca_file)
        with httpx.Client(verify=context, trust_env=False, timeout=30) as client:
            answer = client.request(method, f"{self.url}/v1/{path}", headers=headers, json=body)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None


@contextmanager
def run_server(directory: Path) -> Iterator[OpenBao]:
    """Started, and ended with the test."""
    port = get_free_port()
    with (directory / "bao.log").open("wb") as log:
        process = subprocess.Popen(
            [
                str(openbao().path), "server", "-dev", "-dev-tls", f"-dev-tls-cert-dir={directory}",
                f"-dev-listen-address=127.0.0.1:{port}", "-dev-no-store-token",
            ],
            cwd=directory, env={**os.environ, "HOME": str(directory), "BAO_DEV_ROOT_TOKEN_ID": ROOT_TOKEN},
            stdout=log, stderr=log,
        )  # fmt: skip
    try:
        server = OpenBao(f"https://127.0.0.1:{port}", directory / "vault-ca.pem")
        _wait(server, process, directory / "bao.log")
        yield server
    finally:
        process.terminate()
        process.wait(30)


def _wait(server: OpenBao, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            server.ask("GET", "sys/health")
            server.ask("GET", "secret/config")  # the store that a new server has is there only a moment later
            return
        except (httpx.HTTPError, OSError, AssertionError):
            time.sleep(0.1)
    raise AssertionError(log.read_text()[-3000:])
