"""The last tier: checksums, structure, rarity. Each takes (text, match, group) and says what to mask.

A detector's YAML names its validator; adding one is a function and a line in VALIDATORS.
"""

import binascii
import re
from base64 import urlsafe_b64decode
from typing import Any, Final

import orjson
from mypy_extensions import i64
from stdnum import iban as stdnum_iban

from masking import logins, names, pairs, personal, sql, values
from masking.cards import find_cards
from masking.model import Hit, Validator
from masking.values import shannon_entropy


def accept(_data: bytes, match: Any, group: int) -> list[Hit]:
    start, end = match.span(group)
    return [(start, end, None)]


def check_ssn(data: bytes, match: Any, group: int) -> list[Hit]:
    """SSA: no area 000, 666 or 9xx, no group 00, no serial 0000."""
    start, end = match.span(group)
    digits = bytes(byte for byte in data[start:end] if 48 <= byte <= 57)
    area, middle, serial = digits[:3], digits[3:5], digits[5:]
    if len(digits) != 9 or area in (b"000", b"666") or area[0] == 57 or middle == b"00" or serial == b"0000":
        return []
    if digits in (b"123456789", b"078051120", b"219099999") and data[start + 3 : start + 4].isdigit():
        return []
    return [(start, end, None)]


_NOT_MAIL: Final = re.compile(
    rb"(?:\b(?:ssh|scp|sftp|mosh|rsync|ssh-copy-id)[ \t](?:[^|;\r\n]{0,80}[ \t])?|sqlplus[ \t][^|;\r\n]{0,60}/"
    rb"|jdbc:oracle:\w{3,4}:[^\s/@]{0,60}/)\Z"
)
_BEFORE_NOT_MAIL: Final = b" \t/"  # one of these stands at the end of it
_MACHINES: Final = (b".internal", b".local", b".localdomain", b".localhost", b".lan")


def check_email(data: bytes, match: Any, group: int) -> list[Hit]:
    """No login at a machine, and not the user:password@host of a URL: that is the business of the URL detectors."""
    start: int
    end: int
    start, end = match.span(group)
    if start and data[start - 1] in _BEFORE_NOT_MAIL and _NOT_MAIL.search(data, max(0, start - 120), start):
        return []
    if data[start:end].endswith(_MACHINES) or data.startswith(b"git@", start):  # git: the login of every Git server
        return []
    before = data[max(0, start - 256) : start]
    scheme = before.rfind(b"://")
    if scheme >= 0 and not any(byte in b"/?#\"' \t\r\n<>" for byte in before[scheme + 3 :]):
        return []
    return [(start, end, None)]


def check_iban(data: bytes, match: Any, group: int) -> list[Hit]:
    """Country's length and mod 97, not its banks' own check digits (made-up data has none).

    The pattern may run on into the next word, so shorter ends are tried too.
    """
    start, end = match.span(group)
    while end - start >= 15:
        if _is_mod97(data[start:end]) and stdnum_iban.is_valid(
            data[start:end].decode("ascii", "replace"), check_country=False
        ):
            return [(start, end, None)]
        cut = max(data.rfind(b" ", start, end), data.rfind(b"-", start, end))
        if cut < 0:
            return []
        end = cut
    return []


def _is_mod97(value: bytes) -> bool:
    plain = value.translate(None, b" -").upper()
    return int((plain[4:] + plain[:4]).decode("latin-1").translate(_LETTER_VALUES)) % 97 == 1


_LETTER_VALUES: Final = {ord("A") + index: str(10 + index) for index in range(26)}


def check_insert(data: bytes, match: Any, _group: int) -> list[Hit]:
    """Literals that stand under a telling column in INSERT … VALUES."""
    columns = match.group(1)
    if not any(names.label_of(name.decode("utf-8", "replace")) for name in columns.split(b",")):
        return []
    items = sql.insert_items(data, columns, *match.span(2))
    return [hit for name, start, end in items for hit in _literal(name, data, start, end)]


def _literal(name: str, data: bytes, start: int, end: int) -> list[Hit]:
    """The quoted or plain value between two offsets, if the column's name makes it secret."""
    named = names.label_of(name)
    value = data[start:end].strip()
    if named is None or not value:
        return []
    start = data.index(value, start)
    quoted = re.fullmatch(rb"(?s)[eEnN]?'(.*?)'?(?:::\w+)?", value)
    if quoted is None and not re.fullmatch(rb"[\w.+-]+", value):
        return []
    low, high = quoted.span(1) if quoted else (0, len(value))
    span = names.secret_span(named, value[low:high])
    return [(start + low + span[0], start + low + span[1], named.label)] if span else []


def check_jwt(data: bytes, match: Any, group: int) -> list[Hit]:
    """The first part decodes to a JOSE header: a JSON object with `alg` or `enc`."""
    start, end = match.span(group)
    first = data[start:end].split(b".", 1)[0]
    try:
        header = orjson.loads(urlsafe_b64decode(first + b"=" * (-len(first) % 4)))
    except (binascii.Error, ValueError):
        return []
    return [(start, end, None)] if isinstance(header, dict) and ("alg" in header or "enc" in header) else []


_MADE_UP: Final = [b"xxxx", b"example", b"abcdefgh"]
MIN_DIFFERENT: Final = 7  # characters of a random body


def check_random(data: bytes, match: Any, group: int) -> list[Hit]:
    """A random-looking body: enough different characters; no run of one, no counting up, no example words."""
    start: int
    end: int
    start, end = match.span(group)
    value = data[start:end]
    if not _has_different(value, MIN_DIFFERENT) or value.find(b"....") >= 0:
        return []
    lowered = value.lower()
    for word in _MADE_UP:
        if lowered.find(word) >= 0:
            return []
    return [(start, end, None)]


def _has_different(value: bytes, least: int) -> bool:
    """Whether so many different bytes are in it: mostly the first few tell."""
    seen = b""
    position: i64 = 0
    size: i64 = len(value)
    while position < size:
        index: i64 = 0
        count: i64 = len(seen)
        while index < count and seen[index] != value[position]:
            index += 1
        if index == count:
            if count + 1 >= least:
                return True
            seen += value[position : position + 1]
        position += 1
    return False


def check_mixed(data: bytes, match: Any, group: int) -> list[Hit]:
    """Random-looking, and letters of both cases plus digits: a base64-like key rather than a word or a hash."""
    start, end = match.span(group)
    value = data[start:end]
    has_all = (
        any(65 <= b <= 90 for b in value) and any(97 <= b <= 122 for b in value) and any(48 <= b <= 57 for b in value)
    )
    return check_random(data, match, group) if has_all and shannon_entropy(value) >= 3.5 else []


def check_secret_value(data: bytes, match: Any, group: int) -> list[Hit]:
    """Any value that is no placeholder."""
    return values.value_hits(data, *match.span(group))


def check_encoded(data: bytes, match: Any, group: int) -> list[Hit]:
    """base64 of user:password, or of something that is no text at all (a token)."""
    start, end = match.span(group)
    body = data[start:end].rstrip(b"=").translate(bytes.maketrans(b"-_", b"+/"))
    try:
        content = binascii.a2b_base64(body + b"=" * (-len(body) % 4))
    except binascii.Error:
        return []
    is_login = b":" in content and all(byte >= 32 for byte in content)
    return [(start, end, None)] if is_login or (end - start >= 20 and values.is_random(data[start:end])) else []


def check_first_group(data: bytes, match: Any, _group: int) -> list[Hit]:
    """The first group that took part, unless it is a placeholder."""
    return check_sql_literal(data, match, _group)


def check_sql_literal(data: bytes, match: Any, _group: int) -> list[Hit]:
    """The first group that took part."""
    group = pairs.taken_group(match)
    return check_secret_value(data, match, group) if group else []


_SETTING: Final = re.compile(rb"[a-z]{2,12}|[a-z]{2}[-_][A-Za-z]{2}|[A-Z]{2,3}")


def check_cookies(data: bytes, match: Any, group: int) -> list[Hit]:
    """Each value of a Cookie header; of Set-Cookie only the first (the rest are attributes)."""
    start, end = match.span(group)
    is_set = match.group(1).lower().startswith(b"set-")
    return [(low, high, None) for low, high in cookie_values(data, start, end, is_set=is_set)]


def _is_setting(name: bytes, value: bytes) -> bool:
    """A choice rather than a credential: theme=dark, lang=en-GB."""
    return (
        _SETTING.fullmatch(value.rstrip(b"')")) is not None
        and names.label_of(name.decode("ascii", "replace").strip()) is None
    )


def cookie_values(data: bytes, start: int, end: int, *, is_set: bool) -> list[tuple[int, int]]:
    """Where the values of cookies stand between two offsets, but for short words that tell a choice."""
    spans: list[tuple[int, int]] = []
    for pair in data[start:end].split(b";"):
        equals = pair.find(b"=")
        value = pair[equals + 1 :].strip().strip(b'"')
        if equals > 0 and value and not _is_setting(pair[:equals], value):
            low = start + equals + 1 + pair[equals + 1 :].index(value)
            spans.append((low, low + len(value)))
        start += len(pair) + 1
        if is_set:
            break
    return spans


def find_validator(name: str) -> Validator:
    """The validator that a detector names; `stdnum:br.cpf` is the check of that python-stdnum module.

    Raises KeyError."""
    module = name.removeprefix("stdnum:")
    return VALIDATORS[name] if module == name else personal.stdnum(module)


VALIDATORS: Final[dict[str, Validator]] = {
    "accept": accept,
    "card": find_cards,
    "ssn": check_ssn,
    "email": check_email,
    "iban": check_iban,
    "insert": check_insert,
    "jwt": check_jwt,
    "random": check_random,
    "mixed": check_mixed,
    "secret_value": check_secret_value,
    "authorization": logins.check_authorization,
    "cookies": check_cookies,
    "sql_literal": check_sql_literal,
    "first_group": check_first_group,
    "login": logins.check_login,
    "telling": logins.check_telling,
    "named": pairs.check_named,
    "aliased": pairs.check_aliased,
    "fields": pairs.check_fields,
    "rows": pairs.check_rows,
    "codes": pairs.check_code_list,
    "encoded": check_encoded,
    "ip": personal.check_ip,
    "phone": personal.check_phone,
    "phone_grouped": personal.check_phone_grouped,
    "telephone": personal.check_telephone,
    "dated": personal.check_dated,
    "mac": personal.check_mac,
    "npi": personal.check_npi,
    "luhn": personal.check_luhn,
    "aba": personal.check_aba,
    "dea": personal.check_dea,
    "nric": personal.check_nric,
    "snils": personal.check_snils,
}
