"""The last net: what looks like a secret does not reach a log."""

import logging
import sys

import pytest

from schemas.wire.log_filter import MAX_LINE, ScrubbingFormatter, scrub


@pytest.mark.parametrize(
    "secret",
    [
        "postgresql://app:hunter2secret@db/x",
        "password=hunter2secret",
        '"api_key": "hunter2secret"',
        "Authorization: Bearer hunter2secret",
        "4111 1111 1111 1111",
        "123-45-6789",
        "AKIAhunter2secret",
    ],
)
def test_secrets_are_redacted(secret: str) -> None:
    line = scrub(f"connection failed for {secret} in step 3")
    assert "hunter2" not in line and "1111" not in line and "6789" not in line
    assert line.startswith("connection failed for")


def test_tracebacks_are_scrubbed_too() -> None:
    try:
        raise ValueError("password=hunter2secret")
    except ValueError:
        record = logging.getLogger("x").makeRecord("x", 40, "f", 1, "failed", (), sys.exc_info())
    text = ScrubbingFormatter().format(record)
    assert "ValueError" in text and "hunter2" not in text


def test_a_giant_line_takes_bounded_time() -> None:
    assert len(scrub("a@" * 5_000_000)) <= MAX_LINE
    assert len(scrub("1 " * 5_000_000)) <= MAX_LINE
