"""Payloads of unknown kind: decode if they are text, then mask by structure or as text."""

import re
from itertools import groupby
from typing import Final

from masking.engine import Masker
from masking.model import Finding, MaskedBytes, MaskedPayload, MaskedText
from masking.siblings import find_sibling_values
from masking.spans import resolve
from masking.structured import mask_json

BINARY: Final = "binary"
_EVENT: Final = re.compile(r"^data: ?[{\[]", re.MULTILINE)
_CONTROLS: Final = bytes(set(range(32)) - {0, 9, 10, 12, 13, 27}) + b"\x7f"


def mask_payload(masker: Masker, data: bytes, place: str = "", content_type: str = "") -> MaskedPayload:
    """Mask a payload (whole, or its kept beginning). `content_type` may help and is not believed.

    When the result's text is None the bytes are no text: keep their count and keyed digest, and nothing else.
    """
    text, encoding = decode_payload(data)
    if text is None:
        return MaskedPayload(None, (), BINARY)
    if "json" in content_type.lower() or text.lstrip()[:1] in ("{", "["):
        masked = _mask_document(masker, text.encode("utf-8", "surrogatepass"), place or "$")
        return MaskedPayload(masked.data.decode("utf-8", "surrogatepass"), masked.findings, encoding)
    if _EVENT.search(text):
        return _mask_events(masker, text, place, encoding)
    plain = masker.mask_text(text, place)
    return MaskedPayload(plain.text, plain.findings, encoding)


def _mask_events(masker: Masker, text: str, place: str, encoding: str) -> MaskedPayload:
    """Server-sent events whose data is JSON: each by its structure, what stands between as text."""
    lines = text.splitlines(keepends=True)
    findings: list[Finding] = []
    shown: list[str] = []
    for is_event, group in groupby(lines, lambda line: _EVENT.match(line) is not None):
        for part in group if is_event else ["".join(group)]:
            masked = _mask_event(masker, part, place) if is_event else masker.mask_text(part, place)
            shown.append(masked.text)
            findings += masked.findings
    return MaskedPayload("".join(shown), tuple(findings), encoding)


def _mask_event(masker: Masker, line: str, place: str) -> MaskedText:
    name, colon, rest = line.partition(":")
    content = rest.rstrip("\r\n")
    data = content.encode("utf-8", "surrogatepass")
    if not masker.has_candidates(data):
        return MaskedText(line)
    masked = _mask_document(masker, data, place or "data")
    shown = masked.data.decode("utf-8", "surrogatepass")
    return MaskedText(name + colon + shown + rest[len(content) :], masked.findings)


def _mask_document(masker: Masker, data: bytes, place: str) -> MaskedBytes:
    """JSON: what only its neighbours tell first, then value by value."""
    told = resolve(data, masker.known_spans(data, find_sibling_values(data)))
    if not told:
        return mask_json(masker, data, place)
    data, findings = masker.splice(data, told)
    masked = mask_json(masker, data, place)
    placed = tuple(finding._replace(start=0, end=finding.end - finding.start, place=place) for finding in findings)
    return MaskedBytes(masked.data, (*placed, *masked.findings))


def decode_payload(data: bytes) -> tuple[str | None, str]:
    """(text or None, encoding). The last character may be cut off; a byte order mark is dropped."""
    for mark, encoding in ((b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be")):
        if data.startswith(mark):
            return _strict(data[2:], encoding), encoding
    half = len(data) // 2
    if half >= 4 and data.count(0) * 5 >= half * 2:
        encoding = "utf-16-le" if data[1::2].count(0) > data[::2].count(0) else "utf-16-be"
        text = _strict(data, encoding)
        return (text, encoding) if text is not None else (None, BINARY)
    if len(data) - len(data.translate(None, _CONTROLS)) > len(data) // 32:
        return None, BINARY
    text = _strict(data.removeprefix(b"\xef\xbb\xbf"), "utf-8")
    return (text, "utf-8") if text is not None else (None, BINARY)


def _strict(data: bytes, encoding: str) -> str | None:
    """Decoded, without a last character that the end cut off; None when it is not that encoding."""
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        if error.reason not in ("unexpected end of data", "truncated data"):
            return None
        try:
            return data[: error.start].decode(encoding)
        except UnicodeDecodeError:
            return None
