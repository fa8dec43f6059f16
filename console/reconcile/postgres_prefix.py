"""PostgreSQL's log_line_prefix as a pattern: who said what, before the message of a line begins."""

import re
from typing import Final

from schemas.errors import ConfigError

MAX_PREFIX_CHARS: Final = 500
_TIME: Final = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d{1,6})? [A-Za-z0-9+-]{1,10}"
# Names are at most 63 bytes: bounds keep a hostile line from costing more than its length.
_ESCAPES: Final = {
    "a": r"(?P<application>.{0,64}?)",
    "u": r"(?P<user>.{0,64}?)",
    "d": r"(?P<database>.{0,64}?)",
    "r": r"(?P<source>\[local\]|[^\s()]{0,255}?)(?:\(\d+\))?",
    "h": r"(?P<host>\[local\]|[^\s()]{0,255}?)",
    "L": r"\S{0,255}?",
    "b": r"(?P<backend>.{0,64}?)",
    "p": r"(?P<pid>\d+)",
    "P": r"\d*",
    "t": rf"(?P<time>{_TIME})",
    "m": rf"(?P<time>{_TIME})",
    "n": r"(?P<epoch>\d+\.\d{1,3})",
    "i": r".{0,64}?",
    "e": r"(?P<sqlstate>[0-9A-Z]{5})",
    "c": r"(?P<session>[0-9a-f]+\.[0-9a-f]+)",
    "l": r"\d+",
    "s": rf"{_TIME}",
    "v": r"[\d/]*",
    "x": r"\d+",
    "Q": r"-?\d+",
}
_MESSAGE: Final = r"(?P<severity>[A-Z]+\d?):  ?(?P<message>.*)"


def compile_prefix(prefix: str) -> re.Pattern[str]:
    """A pattern for whole lines, with groups named as above, severity and message. Raises ConfigError.

    It needs the time (%m, %t or %n). Each escape is one field; one that comes twice is only looked at once.
    """
    if len(prefix) > MAX_PREFIX_CHARS:
        raise ConfigError(f"log_line_prefix is longer than {MAX_PREFIX_CHARS} characters")
    parts: list[str] = []
    seen: set[str] = set()
    tails = 0
    position = 0
    for found in re.finditer(r"%(-?\d*)([a-zA-Z%])", prefix):
        parts.append(re.escape(prefix[position : found.start()]))
        position = found.end()
        letter = found[2]
        if letter == "%":
            parts.append("%")
        elif letter == "q":
            parts.append("(?:")
            tails += 1
        else:
            parts.append(_field(letter, seen, is_padded=bool(found[1])))
    parts.append(re.escape(prefix[position:]))
    if not seen & {"time", "epoch"}:
        raise ConfigError(f"log_line_prefix {prefix!r} has no time (%m, %t or %n): lines cannot be placed")
    return re.compile("".join(parts) + ")?" * tails + _MESSAGE, re.DOTALL)


def _field(letter: str, seen: set[str], *, is_padded: bool) -> str:
    pattern = _ESCAPES.get(letter)
    if pattern is None:
        raise ConfigError(f"%{letter} in log_line_prefix is not known")
    names = set(re.findall(r"\(\?P<(\w+)>", pattern))
    if names & seen:
        pattern = re.sub(r"\(\?P<\w+>", "(?:", pattern)
    seen |= names
    return rf" *{pattern} *" if is_padded else pattern
