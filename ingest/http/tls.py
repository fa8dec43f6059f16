"""TLS of the HTTP proxy: the interception CA in home/ca, leaf certificates, and each resource's own checks upstream."""

import ipaddress
import ssl
from collections.abc import Mapping
from typing import Any, Final

from cryptography.hazmat.primitives import serialization
from mitmproxy import certs, connection, tls
from mitmproxy.addons.tlsconfig import _DEFAULT_CIPHERS, TlsConfig
from mitmproxy.net import tls as net_tls
from OpenSSL import SSL

from ingest.http.connection import AgentConnection
from schemas.config import Capture
from schemas.errors import ConfigError
from schemas.runtime import Home, write_private

CA_NAME: Final = "Custody interception CA"
CA_FILE: Final = "custody-ca.pem"
CA_CERTIFICATE: Final = "custody-ca-cert.pem"
CA_KEY_BITS: Final = 2048


def ensure_ca(home: Home) -> certs.CertStore:
    """The interception CA, made at the first call: key 0600 in ca/custody-ca.pem, certificate beside it."""
    path = home.ca / CA_FILE
    if not path.exists():
        key, certificate = certs.create_ca("Custody", CA_NAME, CA_KEY_BITS)
        public = certificate.public_bytes(serialization.Encoding.PEM)
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        write_private(path, private + public)
        (home.ca / CA_CERTIFICATE).write_bytes(public)
    if path.stat().st_mode & 0o077:
        raise ConfigError(f"ca/{CA_FILE} must have mode 0600")
    return certs.CertStore.from_files(path, home.ca / "custody-dhparam.pem")


def listener_context(capture: Capture) -> ssl.SSLContext | None:
    """TLS of the proxies' own listeners, None when the settings give no certificate. Raises ConfigError."""
    if not capture.tls_certificate:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(capture.tls_certificate, capture.tls_key or None)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"capture.tls_certificate, capture.tls_key: {error}") from None
    return context


class InterceptionTls(TlsConfig):
    """mitmproxy's TLS settings with our CA, and per resource what is demanded of its upstream."""

    name = "tlsconfig"

    def __init__(self, agents: Mapping[str, AgentConnection], store: certs.CertStore) -> None:
        self._agents = agents
        self.certstore = store

    def configure(self, updated: Any) -> None:
        """Nothing is configured by options here."""

    def running(self) -> None:
        """Nothing to load."""

    def tls_failed_client(self, data: tls.TlsData) -> None:
        """The agent did not take our certificate."""
        agent = self._agents.get(data.context.client.id)
        if agent is not None:
            agent.close_reason = "tls_failed"

    def tls_start_client(self, tls_start: tls.TlsData) -> None:
        """A leaf from our CA; HTTP/2 for every agent that offers it, in whatever order."""
        super().tls_start_client(tls_start)
        if tls_start.ssl_conn is not None:
            tls_start.ssl_conn.set_app_data({**tls_start.ssl_conn.get_app_data(), "server_alpn": b"h2"})

    def tls_start_server(self, tls_start: tls.TlsData) -> None:
        """`verify` checks chain and name; `require` is TLS whoever answers."""
        server = tls_start.conn
        if not isinstance(server, connection.Server) or not server.address:
            return
        agent = self._agents.get(tls_start.context.client.id)
        resource = agent.upstreams.get(server.address[:2]) if agent is not None else None
        is_verified = resource is None or resource.upstream.tls == "verify"
        context = net_tls.create_proxy_server_context(
            method=net_tls.Method.TLS_CLIENT_METHOD,
            min_version=net_tls.Version.TLS1_2,
            max_version=net_tls.Version.UNBOUNDED,
            cipher_list=tuple(_DEFAULT_CIPHERS),
            ecdh_curve=None,
            verify=net_tls.Verify.VERIFY_PEER if is_verified else net_tls.Verify.VERIFY_NONE,
            ca_path=None,
            ca_pemfile=(resource.upstream.ca_file or None) if resource else None,
            client_cert=None,
            legacy_server_connect=False,
        )
        tls_start.ssl_conn = SSL.Connection(context)
        server.sni = server.address[0]
        _expect_name(tls_start.ssl_conn, server.sni)
        # The same protocol on both legs: an HTTP/1 agent's casing and framing survive.
        is_http2 = tls_start.context.client.alpn == b"h2"
        server.alpn_offers = (b"h2", b"http/1.1") if is_http2 else (b"http/1.1",)
        tls_start.ssl_conn.set_alpn_protos(list(server.alpn_offers))
        tls_start.ssl_conn.set_connect_state()


def _expect_name(conn: SSL.Connection, name: str) -> None:
    """SNI, and the name or address that the certificate must be for."""
    lib: Any = SSL._lib  # type: ignore[attr-defined]
    param = lib.SSL_get0_param(conn._ssl)
    lib.X509_VERIFY_PARAM_set_hostflags(param, lib.X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS)
    try:
        packed = ipaddress.ip_address(name).packed
    except ValueError:
        host = name.encode("idna")
        conn.set_tlsext_host_name(host)
        is_set = lib.X509_VERIFY_PARAM_set1_host(param, host, len(host))
    else:
        is_set = lib.X509_VERIFY_PARAM_set1_ip(param, packed, len(packed))
    if is_set != 1:
        raise ConfigError(f"upstream host {name!r} is no name that a certificate could have")
