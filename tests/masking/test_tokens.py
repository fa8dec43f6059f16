import base64
import hashlib
import hmac
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from masking.tokens import DigestKey, FlowKey, TokenKey, TokenRing

KEY = bytes(range(32))


def test_token_is_stable_short_and_keyed():
    token = TokenKey(KEY).token(b"secret")
    assert token == TokenKey(KEY).token(b"secret")
    assert re.fullmatch("[a-z2-7]{16}", token)
    assert token != TokenKey(b"x" * 32).token(b"secret")
    assert token != TokenKey(KEY).token(b"secrets")


def test_digest_is_incremental_and_keyed():
    digest = DigestKey(KEY).digest()
    digest.update(b"a")
    digest.update(memoryview(b"b"))
    assert digest.hexdigest() == DigestKey(KEY).digest(b"ab").hexdigest()
    digest.update(b"c")  # read in between and fed on
    own = hmac.digest(KEY, b"custody digest v1", "sha256")
    assert digest.digest() == hmac.digest(own, b"abc", "sha256")
    assert digest.hexdigest() == digest.digest().hex()
    assert DigestKey(KEY).digest().digest() == hmac.digest(own, b"", "sha256")
    assert digest.hexdigest() != hashlib.sha256(b"ab").hexdigest()


def test_one_key_file_for_both_still_separates_them():
    token = TokenKey(KEY).token(b"x")
    digest = DigestKey(KEY).digest(b"x").digest()
    assert hashlib.sha256(digest).digest() and token not in digest.hex()


@pytest.mark.parametrize("key", [TokenKey, DigestKey, FlowKey])
def test_short_keys_are_refused_and_no_key_is_printed(key):
    with pytest.raises(ValueError, match="32 bytes"):
        key(b"short")
    assert "\\x" not in repr(key(KEY))


def test_a_ring_makes_tokens_of_its_first_key_and_knows_all():
    ring = TokenRing([b"n" * 32, KEY])
    assert ring.token(b"secret") == TokenKey(b"n" * 32).token(b"secret")
    assert ring.tokens(b"secret") == [ring.token(b"secret"), TokenKey(KEY).token(b"secret")]
    ring.replace([b"m" * 32, b"n" * 32, KEY])
    assert ring.token(b"secret") == TokenKey(b"m" * 32).token(b"secret")
    assert len(ring.tokens(b"secret")) == len(ring) == 3
    assert "keys" in repr(ring) and "\\x" not in repr(ring)
    with pytest.raises(ValueError, match="at least one"):
        TokenRing([])


def test_a_fingerprint_is_no_token():
    assert FlowKey(KEY).fingerprint(b"secret") == FlowKey(KEY).fingerprint(b"secret")
    assert FlowKey(KEY).fingerprint(b"secret") != TokenKey(KEY).token(b"secret")


def test_tokens_stay_what_they_were():
    assert TokenKey(KEY).token(b"4111111111111111") == "5y2uhtl33ojkcj67"
    assert FlowKey(KEY).fingerprint(b"4111111111111111") == "kvgjvjl6gz5puf6q"


@given(st.binary(min_size=32, max_size=80), st.binary(max_size=300))
def test_a_token_is_the_base32_of_an_hmac(key, value):
    own = hmac.digest(key, b"custody token v1", "sha256")
    assert TokenKey(key).token(value) == base64.b32encode(hmac.digest(own, value, "sha256")[:10]).decode().lower()
