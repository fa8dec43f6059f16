"""The proxies' public keys, as control has them."""

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from schemas.events import ControlKind
from schemas.resources import Key
from schemas.wire.control import ControlView


class ProxyKeys:
    """A `KeyRing` (admission.py) over control."""

    def __init__(self, view: ControlView) -> None:
        self._view = view
        self._known: dict[str, Ed25519PublicKey] = {}

    def key_of(self, proxy_id: str) -> Ed25519PublicKey | None:
        """See `KeyRing`."""
        entry = self._view.get(ControlKind.PROXY_KEY, proxy_id)
        public = str((entry or {}).get("public", ""))
        if public and public not in self._known:
            try:
                raw = bytes.fromhex(Key.model_validate(entry).public)
                self._known[public] = Ed25519PublicKey.from_public_bytes(raw)
            except ValueError:
                return None
        return self._known.get(public)
