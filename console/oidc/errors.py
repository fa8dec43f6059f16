"""What can be wrong with a token or a provider."""

from schemas.errors import CustodyError, Fault, Unreachable
from schemas.web import Web


class TokenRefused(CustodyError):
    """A token does not prove what it should. The message names the rule that it breaks, never the token."""

    fault = Fault.CALLER


class ProviderFailed(Unreachable):
    """The provider does not answer, or not as OpenID Connect says."""


def open_web(ca_file: str = "") -> Web:
    """Connections to a provider, whose failures are ProviderFailed."""
    return Web(ca_file, failure=ProviderFailed)
