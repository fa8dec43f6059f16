import re

import pytest

from sinks.siem.rfc5424 import BOM, MAX_MESSAGE_BYTES, frame, render
from sinks.siem.transport import Message

AT = 1_790_000_000_123_456

GRAMMAR = re.compile(
    r"<(?P<pri>\d{1,3})>1 (?P<at>\S+) (?P<host>[!-~]{1,255}) (?P<app>[!-~]{1,48}) (?P<pid>[!-~]{1,128}) "
    r'(?P<msgid>[!-~]{1,32}) (?P<sd>\[[!-~]{1,32}(?: [^= \]"]{1,32}="(?:[^"\\\]]|\\["\\\]])*")*\])(?: (?P<msg>.*))?',
    re.DOTALL,
)


def parse(syslog: bytes) -> re.Match[str]:
    match = GRAMMAR.fullmatch(syslog.decode("utf-8"))
    assert match is not None, syslog
    return match


def test_a_message() -> None:
    message = Message("d-1", "detection", "high", AT, "Ünusual", {"rule": "burst"})
    assert (
        render(message, "host", "42")
        == (
            "<107>1 2026-09-21T14:13:20.123456Z host custody 42 detection "
            f'[custody@32473 id="d-1" severity="high" rule="burst"] {BOM}Ünusual'
        ).encode()
    )


def test_the_frame_counts_bytes_not_characters() -> None:
    assert frame("é".encode()) == b"2 \xc3\xa9"


@pytest.mark.parametrize(
    ("severity", "priority"),
    [("critical", 106), ("high", 107), ("medium", 108), ("low", 109), ("info", 110), ("?", 110)],
)
def test_priority(severity: str, priority: int) -> None:
    assert parse(render(Message("i", "session", severity, AT, ""), "h", "1"))["pri"] == str(priority)


@pytest.mark.parametrize(
    "value", ['a"b', "a\\b", "a]b", 'x"] [evil@1 y="1', "line\nbreak\r\x00\x1b[31m\u2028", "💥", ""]
)
def test_hostile_values_stay_inside(value: str) -> None:
    match = parse(
        render(Message(value or "i", value, "low", AT, value, {"k": value, value: "v", 'a b="]': "v"}), value, "1")
    )
    assert "\n" not in match[0] and "\x00" not in match[0]
    assert match["sd"].count('" ') == 4
    unescaped = re.sub(r'\\(["\\\]])', r"\1", match["sd"])
    assert value[:3].strip("\n") in unescaped or "\n" in value


def test_no_text_no_bom() -> None:
    assert parse(render(Message("i", "session", "info", AT, ""), "h", "1"))["msg"] is None


@pytest.mark.parametrize("at", [-(2**63), 2**63 - 1])
def test_an_impossible_time_is_nil(at: int) -> None:
    assert parse(render(Message("i", "session", "info", at, ""), "h", "1"))["at"] == "-"


@pytest.mark.parametrize("character", ["x", "é", "💥", '"', "]"])
@pytest.mark.parametrize("count", [0, 1, 5, 60])
def test_the_size_is_limited_and_said(character: str, count: int) -> None:
    fields = {f"field{i}": character * 900 for i in range(count)}
    message = Message("i" * 40, "detection", "high", AT, character * 20_000, fields)
    syslog = render(message, "host", "42")
    assert len(syslog) <= MAX_MESSAGE_BYTES
    match = parse(syslog)
    assert 'truncated="true"' in match["sd"] and f'id="{"i" * 40}"' in match["sd"]
    if count < 2:
        assert len(syslog) > MAX_MESSAGE_BYTES - 8
