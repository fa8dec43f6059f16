"""Checks of personal data: numbers of states and banks (python-stdnum), phone numbers (phonenumbers), addresses."""

import ipaddress
import re
from collections.abc import Callable
from datetime import date
from importlib import import_module
from typing import Any, Final

import phonenumbers

from masking.model import Hit, Validator

_VERSION_BEFORE: Final = re.compile(
    rb"(?i)(?:version|ver|v|release|rev|build|firmware|agent|api|/|[a-z]-)[\s:=\"']{0,4}v?\Z"
)
_NOT_PHONE_BEFORE: Final = re.compile(
    rb"(?i)(?:order|invoice|ticket|ref(?:erence)?|serial|id|isbn|issn|part|sku|version|build|tracking|case|po)[\s#:=.\"'no]{0,8}\Z"
)
_GROUPED: Final = re.compile(
    rb"\+\d{1,6}(?:[ .-]?\(\d{1,4}\)\d{0,5})?(?:[ .-]\d{2,8}){1,5}(?:\s?(?:x|ext\.?)\s?\d{1,6})?"
)
_DATED: Final = re.compile(rb"\+(?:19|20)\d\d[-./ ]\d\d[-./ ]\d\d")
_REGIONS: Final = ("US", "GB")


def stdnum(name: str) -> Validator:
    """The check of a python-stdnum module, `br.cpf`. Raises ImportError."""
    is_valid: Callable[[str], bool] = import_module(f"stdnum.{name}").is_valid

    def check(data: bytes, match: Any, group: int) -> list[Hit]:
        start, end = match.span(group)
        text = data[start:end].decode("ascii", "replace")
        try:
            return [(start, end, None)] if len(set(text)) > 2 and is_valid(text) else []
        except (LookupError, ValueError):  # a place or date that its tables do not hold
            return []

    return check


def check_ip(data: bytes, match: Any, group: int) -> list[Hit]:
    """An address that may be somebody's: no loopback, no network, no mask, no version number."""
    start, end = match.span(group)
    try:
        address = ipaddress.ip_address(data[start:end].decode("ascii"))
    except ValueError:
        return []
    if (
        address.is_loopback
        or address.is_unspecified
        or address.is_multicast
        or data[start:end].startswith((b"255.", b"0."))
    ):
        return []
    if address.version == 6:
        return [(start, end, None)] if data[start:end].count(b":") >= 3 else []
    if _VERSION_BEFORE.search(data, max(0, start - 16), start) and not data[max(0, start - 3) : start].endswith(b"//"):
        return []
    is_network = data[end : end + 1] == b"/" and data[end + 1 : end + 2].isdigit() and data[start:end].endswith(b".0")
    return [] if is_network else [(start, end, None)]


def check_phone(data: bytes, match: Any, group: int) -> list[Hit]:
    """A number of the international plan, or a national one of the USA or Britain."""
    start, end = match.span(group)
    text = data[start:end].decode("ascii", "replace")
    if _NOT_PHONE_BEFORE.search(data, max(0, start - 24), start):
        return []
    return [(start, end, None)] if is_phone(text) else []


def check_phone_grouped(data: bytes, match: Any, group: int) -> list[Hit]:
    """A number of the international plan: one that is issued, or written in groups as people do and no date."""
    start, end = match.span(group)
    text = data[start:end]
    digits = sum(48 <= byte <= 57 for byte in text)
    if _GROUPED.fullmatch(text) and 9 <= digits <= 15 and not _DATED.match(text):
        return [(start, end, None)]
    return check_phone(data, match, group)


def is_phone(text: str) -> bool:
    for region in (None,) if text.startswith("+") else _REGIONS:
        try:
            number = phonenumbers.parse(text, region)
        except phonenumbers.NumberParseException:
            continue
        if phonenumbers.is_valid_number(number):
            return True
    return False


def check_telephone(data: bytes, match: Any, group: int) -> list[Hit]:
    """A national number beside a word that says so: seven digits or more, and no date."""
    start, end = match.span(group)
    text = data[start:end]
    digits = bytes(byte for byte in text if 48 <= byte <= 57)
    is_date = re.fullmatch(rb"(?:19|20)\d\d[-/. ]\d\d[-/. ]\d\d.*|\d\d[-/.]\d\d[-/.](?:19|20)\d\d", text) is not None
    return [(start, end, None)] if 7 <= len(digits) <= 15 and not is_date else []


def check_dated(data: bytes, match: Any, group: int) -> list[Hit]:
    """Begins with the digits of a day: YYMMDD or DDMMYY."""
    start, end = match.span(group)
    digits = [data[start + i : start + i + 2] for i in (0, 2, 4)]
    for year, month, day in (digits, digits[::-1]):
        try:
            date(2000 + int(year) % 100, int(month), int(day))
        except ValueError:
            continue
        return [(start, end, None)]
    return []


def check_mac(data: bytes, match: Any, group: int) -> list[Hit]:
    """An address of one device (IEEE 802: the lowest bit of its first byte is 0) with a letter in it: six pairs of
    digits are a time or a number."""
    start, end = match.span(group)
    digits = data[start:end].translate(None, b":-")
    is_of_device = int(digits[:2], 16) % 2 == 0 and len(set(digits)) > 3
    return [(start, end, None)] if is_of_device and not digits.isdigit() else []


def check_npi(data: bytes, match: Any, group: int) -> list[Hit]:
    """Luhn over the number behind 80840 (ISO standard prefix of US health)."""
    start, end = match.span(group)
    return [(start, end, None)] if _luhn(b"80840" + data[start:end]) else []


def check_luhn(data: bytes, match: Any, group: int) -> list[Hit]:
    start, end = match.span(group)
    return [(start, end, None)] if _luhn(data[start:end].translate(None, b" -")) else []


def _luhn(digits: bytes) -> bool:
    total = 0
    for index, byte in enumerate(reversed(digits)):
        number = (byte - 48) * (1 + index % 2)
        total += number - 9 if number > 9 else number
    return total % 10 == 0


def check_aba(data: bytes, match: Any, group: int) -> list[Hit]:
    """The checksum of an American Bankers Association routing number."""
    start, end = match.span(group)
    digits = [byte - 48 for byte in data[start:end]]
    total = sum(weight * digit for weight, digit in zip((3, 7, 1) * 3, digits, strict=True))
    return [(start, end, None)] if total and total % 10 == 0 else []


def check_dea(data: bytes, match: Any, group: int) -> list[Hit]:
    start, end = match.span(group)
    d = [byte - 48 for byte in data[end - 7 : end]]
    return [(start, end, None)] if (d[0] + d[2] + d[4] + 2 * (d[1] + d[3] + d[5])) % 10 == d[6] else []


def check_nric(data: bytes, match: Any, group: int) -> list[Hit]:
    """Singapore: weighted sum, a letter for the remainder."""
    start, end = match.span(group)
    text = data[start:end].decode("ascii", "replace").upper()
    total = sum(w * int(d) for w, d in zip((2, 7, 6, 5, 4, 3, 2), text[1:8], strict=True))
    total += {"T": 4, "G": 4, "M": 3}.get(text[0], 0)
    letters = {"S": "JZIHGFEDCBA", "T": "JZIHGFEDCBA", "M": "KLJNPQRTUWX"}.get(text[0], "XWUTRQPNMLK")
    return [(start, end, None)] if letters[total % 11] == text[8] else []


def check_snils(data: bytes, match: Any, group: int) -> list[Hit]:
    start, end = match.span(group)
    digits = [byte - 48 for byte in data[start:end] if 48 <= byte <= 57]
    total = sum(weight * digit for weight, digit in zip(range(9, 0, -1), digits, strict=False)) % 101 % 100
    return [(start, end, None)] if len(digits) == 11 and total == digits[9] * 10 + digits[10] else []
