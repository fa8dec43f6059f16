"""Masks the head of an answer, and says what of a head does not fit a body that was masked."""

from collections.abc import Sequence
from typing import Final

from masking.inline.model import Report
from masking.inline.values import Name, ValueMasker
from masking.validators import cookie_values

Field = tuple[bytes, bytes]

KEPT: Final = frozenset(
    b"connection content-encoding content-language content-length content-type date keep-alive trailer upgrade vary "
    b"sec-websocket-accept sec-websocket-extensions sec-websocket-protocol sec-websocket-version "
    b"transfer-encoding".split()
)
"""Fields that are the protocol's own: never masked."""

VALIDATORS: Final = frozenset(
    b"accept-ranges content-digest content-md5 content-range digest etag repr-digest signature signature-input "
    b"x-goog-hash x-amz-checksum-crc32 x-amz-checksum-crc32c x-amz-checksum-crc64nvme x-amz-checksum-sha1 "
    b"x-amz-checksum-sha256 x-checksum-md5 x-checksum-sha1 x-checksum-sha256".split()
)
"""Fields that speak of the unmasked body. They would not fit, and a hash of a short secret is the secret."""

CONDITIONS: Final = frozenset((b"range", b"if-range", b"if-none-match"))
"""Fields of a request that would bring a part of a body, or tell whether a guess at it is right."""

_COOKIE_LABEL: Final = "http_cookie"


def mask_fields(values: ValueMasker, report: Report, fields: Sequence[Field]) -> tuple[Field, ...]:
    """The fields with what must go masked; the very same when nothing had to change."""
    masked: list[Field] = []
    is_changed = False
    for name, value in fields:
        lower = name.lower()
        if lower not in KEPT and value:
            known = values.name_of(lower.decode("latin-1"))
            shown = _mask_field(values, report, known, lower, value)
            if shown is not None:
                is_changed = True
                value = shown
        masked.append((name, value))
    return tuple(masked) if is_changed else tuple(fields)


def _mask_field(values: ValueMasker, report: Report, name: Name, lower: bytes, value: bytes) -> bytes | None:
    if lower == b"set-cookie" and values.wants(_COOKIE_LABEL) and not name.is_column:
        spans = cookie_values(value, 0, len(value), is_set=True)
        outcome = values.mask_parts(value, spans, _COOKIE_LABEL)
    else:
        (outcome,) = values.mask_values([value], [name], [name.is_column])
    if outcome is None or not outcome.findings:
        return None
    report.add(outcome.findings, f"header.{name.text}")
    return outcome.data.replace(b"\r", b" ").replace(b"\n", b" ")


def without(fields: Sequence[Field], names: frozenset[bytes]) -> tuple[Field, ...]:
    """The fields but those of these (lower-case) names."""
    return tuple(field for field in fields if field[0].lower() not in names)
