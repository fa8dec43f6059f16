"""Masks the head of an answer, and says what of a head does not fit a body that was masked."""

from collections.abc import Sequence
from typing import Final

from masking.inline.model import Report
from masking.inline.values import ValueMasker
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
    places = [index for index, (name, value) in enumerate(fields) if value and name.lower() not in KEPT]
    if not places:
        return tuple(fields)
    names = [values.name_of(fields[index][0].lower().decode("latin-1")) for index in places]
    contents = [fields[index][1] for index in places]
    outcomes = values.mask_values(contents, names, [name.is_column for name in names])
    masked = list(fields)
    is_changed = False
    for index, name, content, outcome in zip(places, names, contents, outcomes, strict=True):
        if name.text == "set-cookie" and values.wants(_COOKIE_LABEL) and not name.is_column:
            outcome = values.mask_parts(content, cookie_values(content, 0, len(content), is_set=True), _COOKIE_LABEL)
        if outcome is not None and outcome.findings:
            report.add(outcome.findings, f"header.{name.text}")
            masked[index] = (fields[index][0], outcome.data.replace(b"\r", b" ").replace(b"\n", b" "))
            is_changed = True
    return tuple(masked) if is_changed else tuple(fields)


def without(fields: Sequence[Field], names: frozenset[bytes]) -> tuple[Field, ...]:
    """The fields but those of these (lower-case) names."""
    return tuple(field for field in fields if field[0].lower() not in names)
