import signal
import socket
import time
from pathlib import Path

import pytest

from schemas.config import Syslog
from schemas.errors import ConfigError, Unreachable
from sinks.siem.syslog import SyslogTransport
from sinks.siem.transport import Message
from tests.sinks.siem.receiver import Authority, Receiver

AT = 1_790_000_000_123_456


def make(number: int, text: str = "text") -> Message:
    return Message(f"d-{number}", "detection", "high", AT, text, {"rule": "burst"})


def test_rsyslog_reads_every_part(receiver: Receiver) -> None:
    transport = SyslogTransport(receiver.config())
    hostile = 'Ünusual "quoted" \\ ] 💥\nsecond line'
    transport.send([Message("d-1", "detection", "critical", AT, hostile, {"rule": 'a"]b\\', "agent": "plänner"})])
    transport.confirm()
    (message,) = receiver.wait(1)
    assert message["pri"] == "106" and message["app"] == "custody" and message["kind"] == "detection"
    assert message["at"] == "2026-09-21T14:13:20.123456Z"
    assert message["data"] == r'[custody@32473 id="d-1" severity="critical" rule="a\"\]b\\" agent="plänner"]'
    assert message["text"].lstrip(" \ufeff") == 'Ünusual "quoted" \\ ] 💥 second line'


def test_long_messages_and_many(receiver: Receiver) -> None:
    transport = SyslogTransport(receiver.config())
    transport.send([make(number, "é" * 4500) for number in range(300)])
    transport.confirm()
    found = receiver.wait(300)
    assert [message["data"].split('"')[1] for message in found] == [f"d-{number}" for number in range(300)]
    assert all('truncated="true"' in message["data"] for message in found)


def test_each_confirmation_ends_a_connection(receiver: Receiver) -> None:
    transport = SyslogTransport(receiver.config())
    transport.confirm()  # nothing sent: nothing to confirm
    for number in range(3):
        transport.send([make(number)])
        transport.confirm()
    assert transport.connections == 3
    assert len(receiver.wait(3)) == 3


def test_a_receiver_with_another_ca_is_refused(receiver: Receiver, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    Authority(other)
    transport = SyslogTransport(receiver.config().model_copy(update={"ca_file": str(other / "ca.pem")}))
    with pytest.raises(Unreachable, match="certificate is not accepted"):
        transport.send([make(1)])


def test_a_receiver_with_another_name_is_refused(receiver: Receiver) -> None:
    transport = SyslogTransport(receiver.config(server_name="siem.example.test"))
    with pytest.raises(Unreachable, match="certificate is not accepted"):
        transport.send([make(1)])
    named = SyslogTransport(receiver.config(server_name="localhost"))
    named.send([make(2)])
    named.confirm()
    assert len(receiver.wait(1)) == 1


def test_mutual_tls(tmp_path: Path) -> None:
    receiver = Receiver(tmp_path, wants_client_certificate=True)
    receiver.start()
    try:
        certificate, key = receiver.authority.issue("client")
        transport = SyslogTransport(receiver.config(client_certificate=str(certificate), client_key=str(key)))
        transport.send([make(1)])
        transport.confirm()
        receiver.wait(1)
        stranger = SyslogTransport(receiver.config())
        with pytest.raises(Unreachable):
            stranger.send([make(2)])
            stranger.confirm()
        assert len(receiver.messages()) == 1
        key.chmod(0o644)
        with pytest.raises(ConfigError, match="0600"):
            SyslogTransport(receiver.config(client_certificate=str(certificate), client_key=str(key)))
    finally:
        receiver.stop()


def test_a_missing_ca_file_is_a_fault_of_the_settings() -> None:
    with pytest.raises(ConfigError, match=r"siem\.syslog"):
        SyslogTransport(Syslog(host="127.0.0.1", ca_file="nowhere.pem"))


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_receiver_that_leaves_is_noticed(receiver: Receiver, how: signal.Signals) -> None:
    transport = SyslogTransport(receiver.config())
    transport.send([make(0)])
    receiver.wait(1)
    receiver.stop(how)
    with pytest.raises(Unreachable):
        for number in range(1, 100):
            transport.send([make(number)])
            time.sleep(0.02)
    with pytest.raises(Unreachable):
        transport.send([make(100)])
    receiver.start()
    transport.send([make(101)])
    transport.confirm()
    assert 'id="d-101"' in receiver.wait(2)[-1]["data"]


def test_unread_bytes_are_not_confirmed(receiver: Receiver) -> None:
    """A stopped receiver holds them in its kernel's buffer; killed, it answers with a reset."""
    transport = SyslogTransport(receiver.config())
    transport.send([make(0)])
    receiver.wait(1)
    assert receiver.process is not None
    receiver.process.send_signal(signal.SIGSTOP)
    transport.send([make(1)])
    receiver.process.kill()
    with pytest.raises(Unreachable):
        transport.confirm()


def test_nobody_listens() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        transport = SyslogTransport(Syslog(host="127.0.0.1", port=taken.getsockname()[1]))
        with pytest.raises(Unreachable, match="refused"):
            transport.send([make(1)])
