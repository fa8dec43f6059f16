"""Logging of every process, with a last net that keeps secrets out. The first net is not to log them."""

import logging
import re
import sys
import time
from typing import Final

from schemas.runtime import forbid_core_dumps

REDACTED: Final = "‹redacted›"
MAX_LINE: Final = 4000

_NET: Final = (
    # user:password@host in any URL
    (re.compile(r"(\w{1,20}://[^\s:/@]{1,200}:)[^\s@]{1,400}@"), rf"\1{REDACTED}@"),
    (re.compile(r"(?i)\b(authorization\W{1,4}(?:bearer|basic)?\s*)[\w.+/=~-]{6,2000}"), rf"\1{REDACTED}"),
    (
        re.compile(
            r"(?i)\b((?:password|passwd|secret|token|api[_-]?key)[\"']?\s{0,2}[=:]\s{0,2}[\"']?)[^\s\"',;&]{3,400}"
        ),
        rf"\1{REDACTED}",
    ),
    (re.compile(r"\b\d(?:[ -]?\d){12,18}\b"), REDACTED),
    (re.compile(r"\b\d{3}-\d{2}-\d{4}\b"), REDACTED),
    (re.compile(r"\b(?:AKIA|ASIA|ghp_|gho_|xox[abprs]-|sk-|eyJ)[\w.-]{8,2000}"), REDACTED),
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*"), REDACTED),
)


def scrub(text: str) -> str:
    """Text with whatever looks like a secret replaced, bounded in length."""
    text = text[: MAX_LINE * 2]
    for pattern, replacement in _NET:
        text = pattern.sub(replacement, text)
    return text[:MAX_LINE]


class ScrubbingFormatter(logging.Formatter):
    """`2026-01-31T12:00:00.000Z LEVEL logger message`; tracebacks keep their frames and lose their values."""

    converter = staticmethod(time.gmtime)

    def __init__(self) -> None:
        super().__init__("%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s %(message)s", "%Y-%m-%dT%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        return scrub(super().format(record))


def set_up_logging(level: int = logging.INFO) -> None:
    """Log to standard error through the net, for every logger of the process. Crashes write no memory to disk."""
    forbid_core_dumps()
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(ScrubbingFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.captureWarnings(True)
    sys.excepthook = lambda kind, value, trace: logging.getLogger("custody").critical(
        "stopped by %s", kind.__name__, exc_info=(kind, value, trace)
    )
