"""Minted secrets: the same for whoever has the key, different for everything else."""

from schemas.wire.mint import mint_secret

KEY = b"k" * 32


def test_a_secret_is_a_function_of_key_id_and_expiry() -> None:
    secret = mint_secret(KEY, "agent-1", 1_700_000_000_000_000)
    assert secret == mint_secret(KEY, "agent-1", 1_700_000_000_000_000)
    assert len(secret) == 52 and set(secret) <= set("abcdefghijklmnopqrstuvwxyz234567")
    others = {
        mint_secret(b"j" * 32, "agent-1", 1_700_000_000_000_000),
        mint_secret(KEY, "agent-2", 1_700_000_000_000_000),
        mint_secret(KEY, "agent-1", 1_700_000_000_000_001),
    }
    assert secret not in others and len(others) == 3
