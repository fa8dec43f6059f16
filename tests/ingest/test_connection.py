"""Reaching an upstream: errors are clear and bounded in time; TLS modes mean what they say."""

import socket
import ssl
from pathlib import Path

import pytest

from ingest.connection import connect_upstream, listener_tls, upstream_tls
from schemas.errors import Unreachable
from schemas.resources import Upstream
from tests.support.postgres import make_certificate


async def test_a_closed_port_is_unreachable() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        upstream = Upstream(host="127.0.0.1", port=unused.getsockname()[1])
        with pytest.raises(Unreachable, match=r"127\.0\.0\.1"):
            await connect_upstream(upstream, 5)


async def test_a_silent_host_costs_the_timeout_only() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        upstream = Upstream(host="127.0.0.1", port=full.getsockname()[1])
        fillers = []
        with pytest.raises(Unreachable, match="no answer in time"):
            for _ in range(10):  # the accept queue takes one or two
                fillers.append(await connect_upstream(upstream, 0.5))
        for leg in fillers:
            leg.abort()
            await leg.lost.wait()


def test_verify_checks_names_and_require_only_encrypts() -> None:
    verifying = upstream_tls(Upstream(host="h", port=1, tls="verify"))
    requiring = upstream_tls(Upstream(host="h", port=1, tls="require"))
    assert verifying.verify_mode is ssl.CERT_REQUIRED and verifying.check_hostname
    assert requiring.verify_mode is ssl.CERT_NONE


def test_a_listener_has_tls_only_with_a_certificate(tmp_path: Path) -> None:
    assert listener_tls("", "") is None
    certificate, key = make_certificate()
    (tmp_path / "cert.pem").write_bytes(certificate)
    (tmp_path / "key.pem").write_bytes(key)
    assert isinstance(listener_tls(str(tmp_path / "cert.pem"), str(tmp_path / "key.pem")), ssl.SSLContext)
    with pytest.raises(OSError):
        listener_tls(str(tmp_path / "absent.pem"), "")
