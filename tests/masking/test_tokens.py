import hashlib
import re

import pytest

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
