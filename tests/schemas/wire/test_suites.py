"""HPKE suites: every combination wraps and opens, a key id says which one, and keys keep their kinds apart."""

import pytest

from schemas.errors import KeyMissing
from schemas.wire.suites import (
    AEADS,
    HYBRID,
    KDFS,
    KEMS,
    X25519,
    Choice,
    private_from,
    public_from,
    suite_for,
    suite_of,
)


@pytest.mark.parametrize("kem", KEMS)
@pytest.mark.parametrize("kdf", KDFS)
@pytest.mark.parametrize("aead", AEADS)
def test_every_suite_wraps_and_opens_by_its_key_id(kem: str, kdf: str, aead: str) -> None:
    private = private_from(KEMS[kem].generate())
    suite, key_id = suite_for(private.public_key(), Choice(kdf, aead))
    wrapped = suite.encrypt(b"k" * 32, private.public_key().handle, info=b"i")
    opening, name = suite_of(key_id)
    assert name == private.public_key().id
    assert opening.decrypt(wrapped, private.handle, info=b"i") == b"k" * 32


def test_the_default_keeps_the_plain_key_id_and_others_name_their_numbers() -> None:
    public = private_from(X25519.generate()).public_key()
    assert suite_for(public, Choice())[1] == public.id
    assert suite_for(public, Choice(aead="chacha20-poly1305"))[1] == f"0020-0001-0003:{public.id}"
    hybrid = private_from(HYBRID.generate()).public_key()
    assert suite_for(hybrid, Choice())[1] == f"647a-0001-0002:{hybrid.id}"


@pytest.mark.parametrize("kem", KEMS.values(), ids=KEMS)
def test_raw_bytes_say_the_kind_of_a_key(kem: object) -> None:
    assert isinstance(kem, type(X25519))
    raw = kem.generate()
    private = private_from(raw)
    assert (private.kem, len(raw), len(private.public_key().raw)) == (kem, kem.private_bytes, kem.public_bytes)
    assert public_from(private.public_key().raw) == private.public_key()
    assert raw.hex() not in repr(private)
    assert private_from(kem.generate()).public_key() != private.public_key()


def test_a_hybrid_needs_both_halves() -> None:
    """A key that shares only one half with the right one does not open."""
    raw, other = HYBRID.generate(), HYBRID.generate()
    public = private_from(raw).public_key()
    suite, _ = suite_for(public, Choice())
    wrapped = suite.encrypt(b"k" * 32, public.handle)
    for mixed in (raw[:64] + other[64:], other[:64] + raw[64:]):
        with pytest.raises(Exception, match=r".*") as caught:
            suite.decrypt(wrapped, private_from(mixed).handle)
        assert type(caught.value).__name__ == "InvalidTag"


@pytest.mark.parametrize("size", [0, 31, 33, 64, 95, 1216])
def test_other_sizes_are_no_private_key(size: int) -> None:
    with pytest.raises(ValueError, match="unsealing key"):
        private_from(bytes(size))


@pytest.mark.parametrize("key_id", ["", "zz", "647a-0001-0002:", "ffff-0001-0002:" + "0" * 16, "x" * 5000])
def test_an_unknown_suite_is_waited_for_not_refused(key_id: str) -> None:
    with pytest.raises(KeyMissing) as caught:
        suite_of(key_id)
    assert len(str(caught.value)) < 200
