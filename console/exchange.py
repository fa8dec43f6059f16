"""A credential in the name of who is signed in: the command asks the API, which asks the grants."""

from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlencode

from pydantic import ValidationError

from console.credentials import Issued
from console.remote import ApiRefused, Login, Remote
from schemas.errors import ConfigError, Unreachable
from schemas.resources import Credential

PATH: Final = "/token"
GRANT_TYPE: Final = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN: Final = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - the name of a kind of token


def issue_in_name(login: Login, *, agent: str, resources: list[str], ttl: timedelta, run_id: str) -> Issued:
    """The credential, which the API has made known to the proxies. Raises ApiRefused, ConfigError, Unreachable."""
    form = [
        ("grant_type", GRANT_TYPE),
        ("subject_token", login.token),
        ("subject_token_type", ACCESS_TOKEN),
        ("agent", agent),
        ("run_id", run_id),
        ("lifetime", str(int(ttl.total_seconds()))),
        *(("audience", name) for name in resources if name != "*"),
    ]
    try:
        answer = Remote(login.api, login.token, login.ca_file).ask("POST", PATH, form=urlencode(form).encode())
    except ApiRefused as error:
        raise ConfigError(f"{error} (signed in as {login.principal}; `custody whoami`)") from None
    return _read(answer)


def _read(answer: Any) -> Issued:
    try:
        fields = ("principal", "agent", "delegation", "expires_at")
        renamed = {"id": answer["credential_id"], "resources": answer["audience"]}
        credential = Credential.model_validate({name: answer[name] for name in fields} | renamed)
        return Issued(credential, str(answer["secret"]))
    except (KeyError, TypeError, ValidationError):
        raise Unreachable("the API's answer cannot be read") from None
