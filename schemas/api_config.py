"""Settings of the REST API: where it listens."""

from pydantic import Field, model_validator

from schemas.identity_config import Url
from schemas.settings_base import Model, is_loopback


class Api(Model):
    """The REST API. Its port is `ports.api`."""

    bind: str = Field("127.0.0.1", description="address the API listens on; not loopback only with TLS")
    public_url: Url = Field("", description="the API as agents and browsers reach it; empty: http(s)://127.0.0.1:PORT")
    tls_certificate: str = Field("", description="PEM certificate chain of the API")
    tls_key: str = Field("", description="PEM private key file (0600) of the API")
    local_logins: bool = Field(
        True, description="accept the passwords in secrets/api/, one a role; switch it off where people sign in"
    )
    max_body_bytes: int = Field(2 << 20, ge=1 << 12, le=64 << 20, description="largest request that is read")
    max_result_bytes: int = Field(32 << 20, ge=1 << 16, le=1 << 30, description="largest result of a query by SQL")

    @model_validator(mode="after")
    def _exposed_only_with_tls(self) -> "Api":
        if not is_loopback(self.bind) and not (self.tls_certificate and self.tls_key):
            raise ValueError(f"bind {self.bind} is not loopback: set tls_certificate and tls_key")
        return self
