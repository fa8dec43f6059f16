"""How commands speak: text for people, JSON for programs, one line on standard error for a failure."""

import json
import re
from datetime import UTC, datetime
from typing import Any, Final

import click

EXIT_FINE: Final = 0
EXIT_VIOLATION: Final = 1
EXIT_UNDECIDED: Final = 2
EXIT_INTERRUPTED: Final = 130
EXIT_NOT_READ: Final = 141  # as a shell says it of a program that SIGPIPE ended

_CONTROL_CHARACTERS: Final = {
    **{code: "�" for code in (*range(0x00, 0x20), *range(0x7F, 0xA0)) if code not in (0x09, 0x0A)},
    # Marks that reorder text on a terminal would let a statement show as another one.
    **{code: "�" for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C)},
}


def clean(text: str) -> str:
    """Text that cannot steer a terminal: what an agent sent is printed, never obeyed."""
    return text.translate(_CONTROL_CHARACTERS)


def one_line(text: str, limit: int = 200) -> str:
    """Text on one line, white space folded, cut to `limit` characters."""
    flat = re.sub(r"\s+", " ", clean(text[: limit * 4])).strip()
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"


def fail(message: str) -> int:
    """One line on standard error; the exit code for `could not decide`."""
    for line in clean(message).splitlines() or ["failed"]:
        click.echo(f"custody: {line}", err=True)
    return EXIT_UNDECIDED


def internal_failure(error: Exception) -> int:
    """The line for what no command mapped: CustodyError speaks for itself, all else is named by its class."""
    from schemas.errors import CustodyError
    from schemas.wire.log_filter import scrub

    if isinstance(error, CustodyError):
        return fail(scrub(str(error)))
    return fail(scrub(f"{type(error).__name__}: {one_line(str(error))}"))


def print_json(document: Any) -> None:
    """One JSON document, or one line of JSON Lines."""
    click.echo(json.dumps(document, ensure_ascii=False, default=_as_json))


def as_cell(value: Any) -> str:
    """A value as a table shows it."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return format_time(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, (list, tuple, dict)):
        return json.dumps(value, ensure_ascii=False, default=_as_json)
    return str(value)


def counted(number: int, noun: str) -> str:
    """1 row, 2 rows."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def format_time(at: datetime) -> str:
    """UTC, milliseconds."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.") + f"{at.microsecond // 1000:03d}"


def iso_time(at: datetime) -> str:
    """RFC 3339 for programs: UTC with its Z, microseconds. A time without a zone is one of UTC, as of the store."""
    aware = at if at.tzinfo else at.replace(tzinfo=UTC)
    return aware.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def from_us(at: int) -> datetime:
    """A time from µs since the epoch."""
    return datetime.fromtimestamp(at / 1_000_000, UTC)


def format_duration(duration_us: int) -> str:
    """12 µs, 3.4 ms, 1.2 s, 3 m 20 s."""
    if duration_us < 1000:
        return f"{duration_us} µs"
    if duration_us < 1_000_000:
        return f"{duration_us / 1000:.1f} ms"
    if duration_us < 60_000_000:
        return f"{duration_us / 1_000_000:.1f} s"
    return f"{duration_us // 60_000_000} m {duration_us // 1_000_000 % 60} s"


def format_bytes(count: int) -> str:
    """17 B, 4.0 KiB, 2.5 MiB."""
    size = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024 or unit == "GiB":
            return f"{count} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    raise AssertionError("unreachable")


def _as_json(value: Any) -> Any:
    if isinstance(value, datetime):
        return iso_time(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return str(value)
