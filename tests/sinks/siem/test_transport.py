from sinks.siem.syslog import SyslogTransport
from sinks.siem.transport import Transport


def test_syslog_is_a_transport() -> None:
    transport: type[Transport] = SyslogTransport
    assert {"send", "confirm", "close"} <= set(dir(transport))
