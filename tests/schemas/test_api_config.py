import pytest

from schemas.config import parse_settings
from schemas.errors import ConfigError


def test_it_listens_on_loopback_unless_it_has_tls() -> None:
    assert parse_settings("").api.bind == "127.0.0.1"
    with pytest.raises(ConfigError, match=r"api.*not loopback"):
        parse_settings("api: {bind: 0.0.0.0}")
    with pytest.raises(ConfigError, match="not loopback"):
        parse_settings("api: {bind: 0.0.0.0, tls_certificate: cert.pem}")
    assert parse_settings("api: {bind: 0.0.0.0, tls_certificate: c, tls_key: k}").api.bind == "0.0.0.0"
