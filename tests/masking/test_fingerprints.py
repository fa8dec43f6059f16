"""Which values are followed without a detector, and that they are the same however they are written."""

import base64
import gzip
import json
import random
import time
import uuid
from urllib.parse import quote

import pytest

from masking.fingerprints import MAX_SCANNED_BYTES, MAX_VALUE_CHARS, distinctive_values, is_distinctive

VALUE = "CUST-7f3A9b2C81d4"
FOLDED = b"cust7f3a9b2c81d4"


def encodings(value: str) -> dict[str, str]:
    raw = value.encode()
    return {
        "plain": value,
        "in JSON": json.dumps({"id": value}),
        "in an SQL literal": f"INSERT INTO t VALUES ('{value}')",
        "in a path": f"GET https://api.example.com/v1/customers/{value}?full=1",
        "lower case": value.lower(),
        "upper case": value.upper(),
        "without separators": value.replace("-", ""),
        "other separators": value.replace("-", "_"),
        "URL-encoded": quote(value, safe="").replace("-", "%2D"),
        "URL-encoded whole": "".join(f"%{byte:02x}" for byte in raw),
        "base64": base64.b64encode(b"id=" + raw + b" and more of the text").decode(),
        "base64 alone": base64.b64encode(raw).decode(),
        "base64url": base64.urlsafe_b64encode(b'{"id": "' + raw + b'"}').decode().rstrip("="),
        "hex": raw.hex(),
        "gzip in base64": base64.b64encode(gzip.compress(b"id=" + raw + b" and more", mtime=0)).decode(),
        "JSON escapes": "".join(f"\\u{byte:04x}" for byte in raw),
    }


@pytest.mark.parametrize("name", encodings(VALUE))
def test_a_value_is_the_same_however_it_is_written(name: str) -> None:
    assert FOLDED in distinctive_values(encodings(VALUE)[name].encode(), 16)


@pytest.mark.parametrize(
    "text",
    [
        "SELECT aid, bid, abalance FROM pgbench_accounts WHERE aid = 123456789012",
        "customer_accounts_2024_q3_backup and information_schema.columns_2024",
        "2026-11-25T23:15:00.123456Z 20261125T231500Z 2026-11-25-23-15-00",
        "1764112500123456 00000000000000000000 9007199254740993",
        "getCustomerAccountById2024 Sha256WithRsaEncryption2048 X509CertificateAuthority2",
        "thequickbrownfoxjumpsoverthelazydog " + "x" * 84,
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36",
        "‹payment_card:isz2aianw2kzej7j› ‹email:abcd2345efgh67ij›",
        "application/vnd.oasis.opendocument.text-2",
        "SGVsbG8gd29ybGQsIHRoaXMgaXMgcGxhaW4gdGV4dA==",  # base64 of a greeting
    ],
)
def test_names_times_numbers_and_tokens_are_not_followed(text: str) -> None:
    assert distinctive_values(text.encode(), 16) == []


def test_most_ids_are_distinctive() -> None:
    chance = random.Random(4)
    alphabets = {
        "base62": "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
        "hex": "0123456789abcdef",
        "base32": "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567",
    }
    for name, alphabet in alphabets.items():
        made = ["".join(chance.choice(alphabet) for _ in range(24)) for _ in range(500)]
        share = sum(is_distinctive(value.encode()) for value in made) / len(made)
        assert share > (0.75 if name == "base32" else 0.9), (name, share)
    uuids = [str(uuid.UUID(int=chance.getrandbits(128), version=4)) for _ in range(500)]
    assert sum(is_distinctive(value.encode()) for value in uuids) > 490


def test_what_is_followed_is_bounded() -> None:
    chance = random.Random(5)
    many = " ".join(f"{chance.getrandbits(96):024x}" for _ in range(10_000)).encode()
    assert len(distinctive_values(many, 16)) == 16
    assert not is_distinctive(b"a1" * MAX_VALUE_CHARS)
    late = b" " * MAX_SCANNED_BYTES + VALUE.encode()
    assert distinctive_values(late, 16) == []


@pytest.mark.parametrize("text", [b"a" * 10_000_000, b"a1-" * 3_000_000, b"%" * 5_000_000, b"\\u00" * 2_000_000,
                                  b"QUJD" * 2_000_000, b"\xe2\x80\xb9" * 2_000_000])  # fmt: skip
def test_hostile_text_takes_bounded_time(text: bytes) -> None:
    started = time.process_time()
    distinctive_values(text, 16)
    assert time.process_time() - started < 0.5
