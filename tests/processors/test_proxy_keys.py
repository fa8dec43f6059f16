"""Proxies' keys as control has them now."""

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from processors.proxy_keys import ProxyKeys
from schemas.events import ControlKind
from schemas.wire.control import ControlView


class Entries(ControlView):
    """Control without a broker."""

    def __init__(self) -> None:
        self.entries: dict[str, dict[str, object]] = {}

    def get(self, kind: ControlKind, id: str) -> dict[str, object] | None:
        assert kind is ControlKind.PROXY_KEY
        return self.entries.get(id)


def test_a_key_is_the_one_that_control_has_now() -> None:
    control, old, new = Entries(), Ed25519PrivateKey.generate().public_key(), Ed25519PrivateKey.generate().public_key()
    keys = ProxyKeys(control)
    assert keys.key_of("proxy-a") is None
    for key in (old, new):
        control.entries["proxy-a"] = {"public": key.public_bytes_raw().hex()}
        assert keys.key_of("proxy-a") == key
    del control.entries["proxy-a"]
    assert keys.key_of("proxy-a") is None


def test_an_entry_that_is_no_key_is_none() -> None:
    control = Entries()
    for public in ("", "zz", "ab" * 31, "ab" * 33):
        control.entries["proxy-a"] = {"public": public}
        assert ProxyKeys(control).key_of("proxy-a") is None
