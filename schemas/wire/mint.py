"""Secrets of agent credentials: computed from the mint key by whoever issues and whoever checks, stored by nobody."""

import hmac
from base64 import b32encode
from typing import Final

PURPOSE: Final = b"custody.credential.v1\x00"


def mint_secret(mint_key: bytes, credential_id: str, expires_at: int) -> str:
    """52 characters of a-z2-7: base32 of HMAC-SHA-256 over id and expiry (µs UTC)."""
    message = PURPOSE + credential_id.encode() + b"\x00" + expires_at.to_bytes(8, "big")
    return b32encode(hmac.digest(mint_key, message, "sha256")).decode().rstrip("=").lower()
