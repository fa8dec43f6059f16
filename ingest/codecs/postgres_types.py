"""Binary values of PostgreSQL's common types as the server itself would write them as text (DateStyle ISO, time
zone UTC).

`decoder(oid)` gives bytes -> str, or None for a type not known here. `render(raw, decode)` never raises: a
value that is not what its type says becomes `\\x` and hex digits, as does every value of an unknown type.
"""

import ipaddress
import struct
import uuid
from collections.abc import Callable
from struct import unpack, unpack_from
from typing import Final

Decode = Callable[[bytes], str]

POSTGRES_EPOCH_DAYS: Final = 730_425  # from 0000-03-01, where the calendar arithmetic below starts, to 2000-01-01
DAY_US: Final = 86_400_000_000
MAX_DIMENSIONS: Final = 6


def render_hex(raw: bytes) -> str:
    return "\\x" + raw.hex()


def render(raw: bytes, decode: Decode | None) -> str:
    """The value as text, or its bytes in hex."""
    if decode is not None:
        try:
            return decode(raw)
        except (ValueError, struct.error, IndexError, OverflowError):
            pass
    return render_hex(raw)


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "backslashreplace")


def _bool(raw: bytes) -> str:
    return "t" if unpack("!?", raw)[0] else "f"


def _number(form: str) -> Decode:
    reader = struct.Struct(form)
    return lambda raw: str(reader.unpack(raw)[0])


def _jsonb(raw: bytes) -> str:
    if raw[0] != 1:
        raise ValueError("unknown jsonb version")
    return _text(raw[1:])


def _uuid(raw: bytes) -> str:
    return str(uuid.UUID(bytes=raw))


# floats: the shortest digits that read back the same; an exponent from 1e15 (float8) or 1e6 (float4) on and below 1e-4


def _float(value: float, shortest: str, exponent_from: int) -> str:
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "Infinity" if value > 0 else "-Infinity"
    mantissa, _, exponent_text = shortest.partition("e")
    sign = "-" if mantissa.startswith("-") else ""
    whole, _, fraction = mantissa.lstrip("-").partition(".")
    digits = (whole + fraction).lstrip("0")
    if not digits:
        return sign + "0"
    leading = len(whole + fraction) - len(digits)
    exponent = int(exponent_text or 0) + len(whole) - leading - 1
    digits = digits.rstrip("0")
    if -4 <= exponent < exponent_from:
        if exponent < 0:
            return f"{sign}0.{'0' * (-exponent - 1)}{digits}"
        padded = digits.ljust(exponent + 1, "0")
        tail = padded[exponent + 1 :]
        return f"{sign}{padded[: exponent + 1]}{'.' + tail if tail else ''}"
    return f"{sign}{digits[0]}{'.' + digits[1:] if digits[1:] else ''}e{exponent:+03d}"


def _float8(raw: bytes) -> str:
    (value,) = unpack("!d", raw)
    return _float(value, repr(value), 15)


def _float4(raw: bytes) -> str:
    (value,) = unpack("!f", raw)
    for precision in range(9):
        text = f"{value:.{precision}e}"
        try:
            if struct.pack("!f", float(text)) == raw:
                return _float(value, text, 6)
        except OverflowError:  # rounded up beyond the largest float4
            continue
    return _float(value, f"{value:.8e}", 6)


def _numeric(raw: bytes) -> str:
    count, weight, sign, scale = unpack_from("!HhHH", raw)
    if sign in (0xC000, 0xD000, 0xF000):
        return {0xC000: "NaN", 0xD000: "Infinity", 0xF000: "-Infinity"}[sign]
    if sign not in (0, 0x4000) or len(raw) != 8 + 2 * count or scale > 16_383:
        raise ValueError("malformed numeric")
    groups = unpack_from(f"!{count}H", raw, 8)
    if any(group > 9999 for group in groups):
        raise ValueError("malformed numeric")
    digits = "".join(f"{group:04d}" for group in groups)
    point = 4 * (weight + 1)
    if point > 0:
        whole, fraction = digits[:point].ljust(point, "0"), digits[point:]
    else:
        whole, fraction = "0", "0" * -point + digits
    fraction = fraction[:scale].ljust(scale, "0")
    text = whole.lstrip("0") or "0"
    return ("-" if sign == 0x4000 else "") + text + ("." + fraction if scale else "")


# dates and times


def _civil(days: int) -> tuple[str, bool]:
    """Year-month-day of a day number counted from 2000-01-01 (proleptic Gregorian), and whether it is BC."""
    days += POSTGRES_EPOCH_DAYS
    era, day_of_era = divmod(days, 146_097)
    year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * shifted + 2) // 5 + 1
    month = shifted + 3 if shifted < 10 else shifted - 9
    year = year_of_era + era * 400 + (month <= 2)
    is_bc = year <= 0
    return f"{1 - year if is_bc else year:04d}-{month:02d}-{day:02d}", is_bc


def _clock(us: int) -> str:
    seconds, fraction = divmod(us, 1_000_000)
    text = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    return f"{text}.{fraction:06d}".rstrip("0") if fraction else text


def _date(raw: bytes) -> str:
    (days,) = unpack("!i", raw)
    if days in (0x7FFFFFFF, -0x80000000):
        return "infinity" if days > 0 else "-infinity"
    text, is_bc = _civil(days)
    return text + " BC" * is_bc


def _timestamp(suffix: str) -> Decode:
    def decode(raw: bytes) -> str:
        (us,) = unpack("!q", raw)
        if us in (0x7FFFFFFFFFFFFFFF, -0x8000000000000000):
            return "infinity" if us > 0 else "-infinity"
        days, rest = divmod(us, DAY_US)
        text, is_bc = _civil(days)
        return f"{text} {_clock(rest)}{suffix}" + " BC" * is_bc

    return decode


def _time(raw: bytes) -> str:
    return _clock(_day_us(unpack("!q", raw)[0]))


def _timetz(raw: bytes) -> str:
    us, west = unpack("!qi", raw)
    sign, seconds = ("-", west) if west > 0 else ("+", -west)
    zone = f"{sign}{seconds // 3600:02d}"
    if seconds % 3600:
        zone += f":{seconds // 60 % 60:02d}"
    if seconds % 60:
        zone += f":{seconds % 60:02d}"
    return _clock(_day_us(us)) + zone


def _day_us(us: int) -> int:
    if not 0 <= us <= DAY_US:
        raise ValueError("time of day out of range")
    return us


def _interval(raw: bytes) -> str:
    """IntervalStyle postgres: `1 year 2 mons -3 days +04:05:06.7`."""
    us, days, months = unpack("!qii", raw)
    if (us, days, months) == (0x7FFFFFFFFFFFFFFF, 0x7FFFFFFF, 0x7FFFFFFF):
        return "infinity"
    if (us, days, months) == (-0x8000000000000000, -0x80000000, -0x80000000):
        return "-infinity"
    sign = -1 if months < 0 else 1
    parts: list[str] = []
    is_before = False
    units = ((sign * (abs(months) // 12), "year"), (sign * (abs(months) % 12), "mon"), (days, "day"))
    for value, unit in units:
        if value:
            plus = "+" if is_before and value > 0 else ""
            parts.append(f"{plus}{value} {unit}{'' if value == 1 else 's'}")
            is_before = value < 0
    if us or not parts:
        mark = "-" if us < 0 else ("+" if is_before else "")
        parts.append(mark + _clock(abs(us)))
    return " ".join(parts)


# networks, bits and the rest


def _network(raw: bytes) -> str:
    family, bits, is_cidr, size = raw[:4]
    if (family, size) not in ((2, 4), (3, 16)) or len(raw) != 4 + size:
        raise ValueError("malformed inet")
    address = ipaddress.ip_address(raw[4:])
    return f"{address}/{bits}" if is_cidr or bits != 8 * size else str(address)


def _bits(raw: bytes) -> str:
    (count,) = unpack_from("!i", raw)
    if count < 0 or (count + 7) // 8 != len(raw) - 4:
        raise ValueError("malformed bit string")
    return "".join(f"{byte:08b}" for byte in raw[4:])[:count]


def _lsn(raw: bytes) -> str:
    high, low = unpack("!II", raw)
    return f"{high:X}/{low:X}"


def _tid(raw: bytes) -> str:
    block, offset = unpack("!IH", raw)
    return f"({block},{offset})"


def _mac(raw: bytes) -> str:
    if len(raw) not in (6, 8):
        raise ValueError("malformed macaddr")
    return raw.hex(":")


_SCALARS: Final[dict[int, Decode]] = {
    16: _bool, 17: render_hex, 18: _text, 19: _text, 20: _number("!q"), 21: _number("!h"), 23: _number("!i"),
    25: _text, 26: _number("!I"), 27: _tid, 28: _number("!I"), 29: _number("!I"), 114: _text, 142: _text,
    650: _network, 700: _float4, 701: _float8, 705: _text, 774: _mac, 829: _mac, 869: _network, 1042: _text,
    1043: _text, 1082: _date, 1083: _time, 1114: _timestamp(""), 1184: _timestamp("+00"), 1186: _interval,
    1266: _timetz, 1560: _bits, 1562: _bits, 1700: _numeric, 2275: _text, 2278: _text, 2950: _uuid, 3220: _lsn,
    3802: _jsonb, 5069: _number("!Q"),
}  # fmt: skip

ARRAYS: Final = frozenset((
    143, 199, 271, 651, 775, 1000, 1001, 1002, 1003, 1005, 1007, 1009, 1010, 1011, 1012, 1014, 1015, 1016, 1021,
    1022, 1028, 1040, 1041, 1115, 1182, 1183, 1185, 1187, 1231, 1270, 1561, 1563, 2951, 3221, 3807,
))  # fmt: skip


def _element(raw: bytes, decode: Decode | None) -> str:
    text = render(raw, decode)
    if text and text.upper() != "NULL" and not any(c in '{},"\\' or c in " \t\n\r\v\f" for c in text):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _array(raw: bytes) -> str:
    dimensions, _, oid = unpack_from("!iiI", raw)
    if not 0 <= dimensions <= MAX_DIMENSIONS:
        raise ValueError("malformed array")
    if not dimensions:
        return "{}"
    shape = [unpack_from("!ii", raw, 12 + 8 * i) for i in range(dimensions)]
    start = 12 + 8 * dimensions
    total = 1
    for size, _ in shape:
        if size < 0:
            raise ValueError("malformed array")
        total *= size
    if not total:
        return "{}"
    if total * 4 > len(raw) - start:
        raise ValueError("malformed array")
    decode = _SCALARS.get(oid)
    items: list[str] = []
    for _ in range(total):
        (size,) = unpack_from("!i", raw, start)
        start += 4
        if size < 0:
            items.append("NULL")
            continue
        if start + size > len(raw):
            raise ValueError("malformed array")
        items.append(_element(raw[start : start + size], decode))
        start += size
    for size, _ in reversed(shape):
        items = ["{" + ",".join(items[i : i + size]) + "}" for i in range(0, len(items), size)]
    if any(bound != 1 for _, bound in shape):
        return "".join(f"[{bound}:{bound + size - 1}]" for size, bound in shape) + "=" + items[0]
    return items[0]


def _vector(raw: bytes) -> str:
    """int2vector and oidvector: an array written with blanks."""
    return _array(raw).partition("=")[2].strip("{}").replace(",", " ")


_DECODERS: Final[dict[int, Decode]] = {**_SCALARS, **dict.fromkeys(ARRAYS, _array), 22: _vector, 30: _vector}
TEXTUAL: Final = frozenset(oid for oid, decode in _SCALARS.items() if decode is _text)


def decoder(oid: int) -> Decode | None:
    return _DECODERS.get(oid)
