"""Agent credentials: made here, written to control, their secret computed from the mint key and stored nowhere."""

import getpass
import hmac
import re
import secrets
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final
from urllib.parse import quote

from pydantic import ValidationError

from console import control
from console.control import Place
from schemas.config import Settings, faults_of
from schemas.errors import ConfigError
from schemas.events import ControlKind
from schemas.resources import Credential, Delegate, Resource
from schemas.runtime import Home, now_us
from schemas.wire.control import ControlView
from schemas.wire.mint import mint_secret

MAX_LIFETIME: Final = timedelta(days=90)
MAX_NAME_CHARS: Final = 512
"""As long as a name that a quarantine can name: who acts must be one whom that stops."""

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True)
class Issued:
    """A credential and its secret."""

    credential: Credential
    secret: str = field(repr=False)


def default_principal() -> str:
    """The operating system's user, at this machine."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError):
        name = "unknown"
    return f"{name}@local"


def make_credential_id(agent: str) -> str:
    """`<agent>-<random>`: a log-in name that says whose it is, within what PostgreSQL and HTTP take."""
    slug = re.sub(r"[^a-z0-9]+", "-", agent.lower()).strip("-")[:24].rstrip("-")
    return f"{slug or 'agent'}-{secrets.token_hex(6)}"


def issue(
    home: Home,
    *,
    principal: str,
    agent: str,
    resources: list[str],
    ttl: timedelta,
    run_id: str = "",
    delegation: Sequence[Delegate] = (),
    groups: Sequence[str] = (),
    agent_version: str = "",
    charter: str = "",
    parents: Sequence[str] = (),
    spiffe_id: str = "",
) -> Issued:
    """A credential that is not yet in control. Raises ConfigError."""
    if ttl > MAX_LIFETIME:
        raise ConfigError(f"a credential lives for at most {MAX_LIFETIME.days} days")
    for what, name in (("agent", agent), ("principal", principal), ("run id", run_id)):
        if len(name) > MAX_NAME_CHARS or _CONTROL.search(name):
            raise ConfigError(f"the {what} has at most {MAX_NAME_CHARS} characters, none of them a control character")
    try:
        credential = Credential(
            id=make_credential_id(agent),
            principal=principal,
            agent=agent,
            run_id=run_id,
            delegation=list(delegation),
            groups=list(groups),
            agent_version=agent_version,
            charter=charter,
            parents=list(parents),
            spiffe_id=spiffe_id,
            resources=resources,
            expires_at=now_us() + int(ttl.total_seconds() * 1_000_000),
        )
    except ValidationError as error:
        raise ConfigError(faults_of(error, "credential")) from None
    return Issued(credential, mint_secret(home.read_key("mint.key"), credential.id, credential.expires_at))


def check_shown(home: Home, view: ControlView, shown: str) -> Credential:
    """The credential behind `id.secret`, if it is valid now. Raises ConfigError, which says only that it is not."""
    id, _, secret = shown.partition(".")
    payload = view.get(ControlKind.CREDENTIAL, id)
    if payload is None:
        view.refresh(control.TIMEOUT_S)  # issued a moment ago, perhaps
        payload = view.get(ControlKind.CREDENTIAL, id)
    if payload is None or _is_revoked(payload, view.all(ControlKind.REVOCATION)) or _expiry_of(payload) <= now_us():
        raise ConfigError("it is no valid credential")
    expected = mint_secret(home.read_key("mint.key"), id, _expiry_of(payload))
    if not hmac.compare_digest(expected.encode(), secret.encode("utf-8", "surrogatepass")):
        raise ConfigError("it is no valid credential")
    return Credential.model_validate(payload)


def list_credentials(view: ControlView, *, with_ended: bool = False) -> list[dict[str, Any]]:
    """Control's credentials, the next to end first, each with its `state`: valid, expired or revoked. No secrets."""
    revoked = view.all(ControlKind.REVOCATION)
    now = now_us()
    rows = []
    for entry in sorted(view.all(ControlKind.CREDENTIAL).values(), key=_expiry_of):
        state = "revoked" if _is_revoked(entry, revoked) else "expired" if _expiry_of(entry) <= now else "valid"
        if with_ended or state == "valid":
            rows.append(entry | {"state": state})
    return rows


def store_credential(place: Place, issued: Issued) -> None:
    """Make a credential known to the proxies. Raises Unreachable."""
    control.put_entry(place, ControlKind.CREDENTIAL, issued.credential.id, issued.credential.model_dump(mode="json"))


def revoke(place: Place, view: ControlView, id: str, reason: str) -> bool:
    """End a credential for good; False when it had ended so before. Raises ConfigError, Unreachable."""
    if view.get(ControlKind.CREDENTIAL, id) is None:
        raise ConfigError(f"no credential {id!r}; see `custody agent list`")
    if view.get(ControlKind.REVOCATION, id) is not None:
        return False
    changes = control.plan({(ControlKind.REVOCATION, id): {"reason": reason}}, view)
    control.write_changes(place, changes, view)
    return True


def _is_revoked(entry: Mapping[str, Any], revoked: Container[str]) -> bool:
    """Whether a credential, or one it was derived from, was."""
    return any(id in revoked for id in (entry.get("id", ""), *entry.get("parents", ())))


def _expiry_of(entry: Mapping[str, Any]) -> int:
    return int(entry.get("expires_at", 0))


def make_url(resource: Resource, issued: Issued, host: str, port: int, settings: Settings) -> str:
    """One URL that a client of the resource's protocol takes as it is; a tcp resource carries no login."""
    login = f"{quote(issued.credential.id, safe='')}:{quote(issued.secret, safe='')}"
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    has_tls = bool(settings.capture.tls_certificate)
    if resource.protocol == "postgres":
        database = quote(resource.upstream.database or resource.upstream.user or "postgres", safe="")
        return f"postgresql://{login}@{address}/{database}{'?sslmode=require' if has_tls else ''}"
    if resource.protocol == "http":
        return f"{'https' if has_tls else 'http'}://{login}@{address}"
    return f"tcp://{address}"


def make_environment(
    resource: Resource, issued: Issued, url: str, proxy: tuple[str, int], home: Home, settings: Settings
) -> dict[str, str]:
    """Variables by which clients find the proxy and trust its certificates."""
    authority = str(home.ca / "custody-ca-cert.pem")
    trust = {
        name: authority for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "CURL_CA_BUNDLE")
    }
    if resource.protocol == "postgres":
        certificate = settings.capture.tls_certificate
        return {"DATABASE_URL": url} | ({"PGSSLROOTCERT": certificate} if certificate else {})
    if resource.protocol != "http":
        return {}
    host, port = proxy
    through = f"http://{quote(issued.credential.id, safe='')}:{quote(issued.secret, safe='')}@{host}:{port}"
    proxies = {name: through for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")}
    # An exception list of the caller's would let requests past the proxy.
    return proxies | {"NO_PROXY": "", "no_proxy": ""} | trust


def as_exports(variables: Mapping[str, str]) -> list[str]:
    """`export NAME='value'` lines for a POSIX shell."""
    return [f"export {name}='{_quote(value)}'" for name, value in variables.items()]


def _quote(value: str) -> str:
    return value.replace("'", "'\\''")
