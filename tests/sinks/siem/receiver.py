"""A real rsyslog on a free port, with a CA of the test's own; every message becomes a line of JSON."""

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from schemas.config import Syslog
from tests.support.ports import get_free_port

CONFIG = """
global(workDirectory="{root}" defaultNetstreamDriverCAFile="{root}/ca.pem"
       defaultNetstreamDriverCertFile="{root}/server.pem" defaultNetstreamDriverKeyFile="{root}/server.key"
       maxMessageSize="64k" parser.escapeControlCharactersOnReceive="off")
module(load="imtcp" streamDriver.name="gtls" streamDriver.mode="1" streamDriver.authMode="{auth}" {peers})
template(name="line" type="list" option.jsonf="on") {{
  property(outname="pri" name="pri" format="jsonf")
  property(outname="at" name="timereported" dateFormat="rfc3339" format="jsonf")
  property(outname="host" name="hostname" format="jsonf")
  property(outname="app" name="app-name" format="jsonf")
  property(outname="pid" name="procid" format="jsonf")
  property(outname="kind" name="msgid" format="jsonf")
  property(outname="data" name="structured-data" format="jsonf")
  property(outname="text" name="msg" format="jsonf")
}}
ruleset(name="all") {{ action(type="omfile" file="{root}/messages" template="line" flushOnTXEnd="on") }}
input(type="imtcp" port="{port}" address="127.0.0.1" ruleset="all" maxFrameSize="65536")
"""


@dataclass
class Authority:
    """A CA that signs for 127.0.0.1 and localhost."""

    root: Path
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    def __post_init__(self) -> None:
        self.certificate = self._sign("test ca", self.key.public_key(), is_ca=True)
        (self.root / "ca.pem").write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, name: str) -> tuple[Path, Path]:
        """Paths of a certificate and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._sign(name, key.public_key(), is_ca=False)
        paths = self.root / f"{name}.pem", self.root / f"{name}.key"
        paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        paths[1].write_bytes(key.private_bytes(*form))
        paths[1].chmod(0o600)
        return paths

    def _sign(self, name: str, key: ec.EllipticCurvePublicKey, *, is_ca: bool) -> x509.Certificate:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        issuer = subject if is_ca else x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test ca")])
        now = datetime.now(UTC)
        names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))])
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key)
        builder = builder.serial_number(x509.random_serial_number())
        builder = builder.not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(days=1))
        builder = builder.add_extension(x509.BasicConstraints(is_ca, None), critical=True)
        if is_ca:
            usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
            builder = builder.add_extension(usage, critical=True)
        else:
            builder = builder.add_extension(names, critical=False)
        identifier = x509.SubjectKeyIdentifier.from_public_key(key)
        builder = builder.add_extension(identifier, critical=False)
        own = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        return builder.add_extension(own, critical=False).sign(self.key, hashes.SHA256())


class Receiver:
    """rsyslogd as a process of the test's own: start, stop, kill, start again on the same port."""

    def __init__(self, root: Path, *, wants_client_certificate: bool = False) -> None:
        # rsyslog reads its certificates as whoever starts it; nothing is left behind but this directory.
        self.root = root / "rsyslog"
        self.root.mkdir()
        self.port = get_free_port()
        self.authority = Authority(self.root)
        self.authority.issue("server")
        auth = ("x509/certvalid", "") if wants_client_certificate else ("anon", "")
        text = CONFIG.format(root=self.root, port=self.port, auth=auth[0], peers=auth[1])
        (self.root / "rsyslog.conf").write_text(text)
        self.process: subprocess.Popen[bytes] | None = None

    def config(self, **changes: Any) -> Syslog:
        """Settings with which the sink reaches this receiver."""
        return Syslog(host="127.0.0.1", port=self.port, ca_file=str(self.root / "ca.pem"), **changes)

    def start(self) -> None:
        program = shutil.which("rsyslogd") or "/usr/sbin/rsyslogd"
        argv = [program, "-n", "-f", str(self.root / "rsyslog.conf"), "-i", str(self.root / "pid"), "-C"]
        with (self.root / "log").open("ab") as log:
            self.process = subprocess.Popen(argv, stdout=log, stderr=log, env={**os.environ, "LC_ALL": "C"})
        deadline = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                assert self.process.poll() is None, (self.root / "log").read_text()
                assert time.monotonic() < deadline
                time.sleep(0.05)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(20)
            self.process = None

    def messages(self) -> list[dict[str, str]]:
        """What has been written so far, in order."""
        path = self.root / "messages"
        lines = path.read_text("utf-8").splitlines() if path.exists() else []
        return [json.loads(line) for line in lines]

    def wait(self, count: int) -> list[dict[str, str]]:
        deadline = time.monotonic() + 20
        while len(found := self.messages()) < count:
            assert time.monotonic() < deadline, f"{len(found)} of {count}: {(self.root / 'log').read_text()}"
            time.sleep(0.02)
        return found
