"""Messages as RFC 5424 syslog, framed for TLS as RFC 5425 wants. Pure."""

import re
import socket
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from sinks.siem.transport import Message

FACILITY_AUDIT: Final = 13  # RFC 5424, table 1: log audit
SEVERITIES: Final[Mapping[str, int]] = {"critical": 2, "high": 3, "medium": 4, "low": 5, "info": 6}
"""Detection severity -> syslog severity (critical, error, warning, notice, informational)."""

APP_NAME: Final = "custody"
SD_ID: Final = "custody@32473"
"""32473 is the private enterprise number that RFC 5612 keeps for examples and documentation."""

MAX_MESSAGE_BYTES: Final = 8192
"""RFC 5425 §4.3.1: receivers should take 8192 octets. Longer ones lose the end of their text, then of their fields."""
MAX_VALUE_BYTES: Final = 1024
BOM: Final = "\ufeff"
BODY_PREFIX_BYTES: Final = 4  # a space and the BOM
NIL: Final = "-"

_NOT_PRINTABLE: Final = re.compile(r"[^\x21-\x7e]")
_NOT_SD_NAME: Final = re.compile(r'[^\x21-\x7e]|[= \]"]')
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_ESCAPED: Final = re.compile(r'["\\\]]')


def render(message: Message, hostname: str, process_id: str) -> bytes:
    """HEADER SP STRUCTURED-DATA SP MSG as RFC 5424 §6, at most MAX_MESSAGE_BYTES, with `truncated` said in the data."""
    whole = _render(message, dict(message.fields), message.text, hostname, process_id)
    if len(whole) <= MAX_MESSAGE_BYTES:
        return whole
    fields = {name: _cut(value, MAX_VALUE_BYTES) for name, value in message.fields.items()} | {"truncated": "true"}
    while True:
        bare = _render(message, fields, "", hostname, process_id)
        if len(bare) <= MAX_MESSAGE_BYTES or len(fields) <= 1:
            text = _cut(message.text, MAX_MESSAGE_BYTES - len(bare) - BODY_PREFIX_BYTES)
            return _render(message, fields, text, hostname, process_id)
        last = next(name for name in reversed(fields) if name != "truncated")
        del fields[last]


def frame(syslog: bytes) -> bytes:
    """MSG-LEN SP SYSLOG-MSG (RFC 5425 §4.3): octet counting, so the message may hold any byte."""
    return b"%d %s" % (len(syslog), syslog)


def _render(message: Message, fields: Mapping[str, str], text: str, hostname: str, process_id: str) -> bytes:
    priority = FACILITY_AUDIT * 8 + SEVERITIES.get(message.severity, SEVERITIES["info"])
    header = f"<{priority}>1 {_timestamp(message.at)} {_header(hostname, 255)} {APP_NAME} {_header(process_id, 128)}"
    data = _structured({"id": _cut(message.identity, MAX_VALUE_BYTES), "severity": message.severity}, fields)
    # The text says that it is UTF-8 by the BOM (RFC 5424 §6.4); line ends and other controls would split a log line.
    body = f" {BOM}{_clean(text)}" if text else ""
    return f"{header} {_header(message.kind, 32)} {data}{body}".encode("utf-8", "replace")


def _timestamp(at: int) -> str:
    try:
        return datetime.fromtimestamp(at // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%S") + f".{at % 1_000_000:06d}Z"
    except (ValueError, OverflowError, OSError):
        return NIL


def _header(value: str, length: int) -> str:
    return _NOT_PRINTABLE.sub("_", value)[:length] or NIL


def _structured(own: Mapping[str, str], fields: Mapping[str, str]) -> str:
    """One SD-ELEMENT. RFC 5424 lets a name occur twice; ours come first."""
    pairs = [*own.items(), *fields.items()]
    items = (f'{_NOT_SD_NAME.sub("_", name)[:32] or "_"}="{_escape(value)}"' for name, value in pairs)
    return f"[{SD_ID} {' '.join(items)}]"


def _escape(value: str) -> str:
    """RFC 5424 §6.3.3: backslash, quote and closing bracket."""
    return _ESCAPED.sub(lambda match: "\\" + match[0], _clean(value))


def _clean(text: str) -> str:
    return _CONTROL.sub(" ", text)


def _cut(text: str, size: int) -> str:
    """At most `size` bytes of UTF-8, never half a character."""
    return text.encode("utf-8", "replace")[: max(0, size)].decode("utf-8", "ignore")


def local_hostname() -> str:
    """This host's name, as the header has it."""
    return socket.gethostname()
