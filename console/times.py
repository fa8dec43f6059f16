"""Times and durations as people type them."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import click

UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
MAX_SECONDS: Final = 10 * 366 * 86_400


def parse_duration(text: str) -> timedelta:
    """`90s`, `15m`, `2h`, `7d`, `1h30m`. Raises ValueError."""
    parts = re.findall(r"([0-9]{1,9})([smhdw])", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"{text!r} is not a duration such as 90s, 15m, 2h or 7d")
    seconds = sum(int(number) * UNITS[unit] for number, unit in parts)
    if not 0 < seconds <= MAX_SECONDS:
        raise ValueError(f"{text!r} is out of range")
    return timedelta(seconds=seconds)


def parse_moment(text: str, now: datetime) -> datetime:
    """A duration before `now` (`2h`), or an ISO 8601 time (UTC when it names no zone). Raises ValueError."""
    try:
        return now - parse_duration(text)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is neither a time (2026-01-31T12:00) nor a duration ago (2h)") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def check_span(since: datetime | None, until: datetime | None) -> None:
    """Raises UsageError for a span in which nothing can be: an answer of nothing would look like one."""
    if since is not None and until is not None and since >= until:
        raise click.UsageError("--since must be before --until")


class Duration(click.ParamType):
    """A click type for durations."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        if isinstance(value, timedelta):
            return value
        try:
            return parse_duration(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Moment(click.ParamType):
    """A click type for points in time."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        if isinstance(value, datetime):
            return value
        try:
            return parse_moment(value, datetime.now(UTC))
        except ValueError as error:
            self.fail(str(error), param, ctx)
