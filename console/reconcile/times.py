"""Times as logs write them, to µs since the epoch. A zone that a log only abbreviates has to be known."""

import math
import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Final
from zoneinfo import ZoneInfo

from schemas.errors import ConfigError

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_UTC_NAMES: Final = frozenset({"UTC", "GMT", "Z", "UCT"})
_OFFSET: Final = re.compile(r"([+-])(\d\d):?(\d\d)?")
_MONTHS: Final = {
    name: number for number, name in enumerate("Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(), 1)
}
_COMMON: Final = re.compile(r"(\d\d)/([A-Z][a-z]{2})/(\d{4}):(\d\d):(\d\d):(\d\d) ([+-]\d{4})")
MAX_S: Final = 4_102_444_800  # the year 2100


class UnknownZone(ConfigError):
    """A log names its time zone by letters that could be any."""


def find_zone(name: str) -> ZoneInfo | None:
    """The zone of a name such as Europe/Berlin; None for no name. Raises ConfigError."""
    if not name:
        return None
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError):  # ZoneInfoNotFoundError is a KeyError
        raise ConfigError(f"there is no time zone {name!r}") from None


def parse_local(text: str, zone: ZoneInfo | None) -> int:
    """`2026-01-31 12:00:00.123 CET`. An hour that comes twice in autumn is told by the abbreviation.

    Raises ValueError; UnknownZone for letters other than UTC without `zone`.
    """
    stamp, _, name = text.rpartition(" ")
    moment = datetime.fromisoformat(stamp)
    return micros(moment.replace(tzinfo=_zone_of(name, moment, zone)))


def _zone_of(name: str, moment: datetime, zone: ZoneInfo | None) -> tzinfo:
    if name in _UTC_NAMES:
        return UTC
    if found := _OFFSET.fullmatch(name):
        offset = timedelta(hours=int(found[2]), minutes=int(found[3] or 0))

        return timezone(offset if found[1] == "+" else -offset)
    if zone is None:
        raise UnknownZone(f"the log's times are in {name!r}: say with --time-zone which zone that is (Europe/Berlin)")
    for fold in (0, 1):
        candidate = moment.replace(tzinfo=zone, fold=fold)
        if candidate.tzname() == name:
            return timezone(candidate.utcoffset() or timedelta(0))
    raise ValueError(f"{name} is no time of {zone.key} then")


def parse_common(text: str) -> int:
    """`31/Jan/2026:12:00:00 +0100`, as the common log format has it. Raises ValueError."""
    found = _COMMON.fullmatch(text)
    if not found or found[2] not in _MONTHS:
        raise ValueError("is no time of the common log format")
    day, month, year, hour, minute, second = (found[1], _MONTHS[found[2]], *found.group(3, 4, 5, 6))
    moment = datetime(int(year), int(month), int(day), int(hour), int(minute), min(int(second), 59))
    return micros(moment.replace(tzinfo=_zone_of(found[7], moment, None)))


def parse_any(value: object) -> int:
    """ISO 8601 with an offset, or seconds or milliseconds since the epoch, as number or text. Raises ValueError."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _parse_number(float(value))
    if not isinstance(value, str):
        raise ValueError("is no time")
    if re.fullmatch(r"\d{9,13}(?:\.\d{1,9})?", value):
        return _parse_number(float(value))
    if _COMMON.fullmatch(value):
        return parse_common(value)
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        raise ValueError("names no time zone")
    return micros(moment)


def _parse_number(value: float) -> int:
    seconds = value / 1000 if value > MAX_S else value
    if not math.isfinite(seconds) or not 0 < seconds < MAX_S:
        raise ValueError("is no time")
    return round(seconds * 1e6)


def micros(moment: datetime) -> int:
    """µs since the epoch."""
    return (moment - _EPOCH) // timedelta(microseconds=1)
