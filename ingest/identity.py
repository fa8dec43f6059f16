"""Who an agent is: Custody credentials, their secrets, and what they may reach."""

import asyncio
import hmac
import logging
from dataclasses import dataclass
from typing import Final

from pydantic import ValidationError

from schemas.errors import CustodyError, Fault
from schemas.events import ControlKind, Hop, SessionContext
from schemas.resources import Credential, Resource
from schemas.runtime import now_us
from schemas.wire.control import ControlView
from schemas.wire.mint import mint_secret

REFRESH_S: Final = 2.0
"""Longest wait for control to catch up when a credential is not known yet."""

MAX_CLAIM_CHARS: Final = 2048
"""Most that is recorded of what a refused login called itself."""

log = logging.getLogger(__name__)


def as_nobody(context: SessionContext, claim: str) -> None:
    """The context of a session whose login was refused: nobody is known to act, and what was claimed is kept as that.

    The claim may be an API key: it is kept whole, so that masking knows it.
    """
    context.principal, context.agent = "unauthenticated", "unknown"
    context.credential_id = claim[:MAX_CLAIM_CHARS]


class LoginRefused(CustodyError):
    """The agent may not log in; the reason is for the trail, the agent learns only that it failed."""

    fault = Fault.CALLER


@dataclass(frozen=True, slots=True)
class Identity:
    """A verified credential."""

    credential: Credential

    def apply_to(self, context: SessionContext) -> None:
        """Write who acts, for whom, into a session's context."""
        credential = self.credential
        context.principal = credential.principal
        context.agent = credential.agent
        context.delegation = [Hop(link.actor, link.on_behalf_of) for link in credential.delegation]
        context.run_id = credential.run_id
        context.credential_id = credential.id
        facts = {
            "groups": ",".join(credential.groups),
            "agent_version": credential.agent_version,
            "charter": credential.charter,
        }
        context.attributes.update({name: value for name, value in facts.items() if value})


class Identities:
    """Looks credentials up in control and checks them."""

    def __init__(self, view: ControlView, mint_key: bytes) -> None:
        self._view = view
        self._mint_key = mint_key

    async def find(self, credential_id: str, resource: Resource, spiffe_id: str = "") -> Identity:
        """The credential, if it may be used on the resource now. Raises LoginRefused.

        `spiffe_id`: whose client certificate the connection has proven; a credential that is bound to one needs it.
        """
        payload = self._view.get(ControlKind.CREDENTIAL, credential_id)
        if payload is None:
            # Written a moment ago, perhaps: let control catch up before saying no.
            await asyncio.to_thread(self._view.refresh, REFRESH_S)
            payload = self._view.get(ControlKind.CREDENTIAL, credential_id)
        if payload is None:
            raise LoginRefused("unknown credential")
        credential = self._checked(payload, resource)
        if credential.spiffe_id and credential.spiffe_id != spiffe_id:
            raise LoginRefused("the credential is bound to a client certificate that this connection has not shown")
        return Identity(credential)

    def secret_of(self, identity: Identity) -> str:
        """The secret the agent must prove to have."""
        return mint_secret(self._mint_key, identity.credential.id, identity.credential.expires_at)

    async def login(self, credential_id: str, secret: str, resource: Resource) -> Identity:
        """For protocols that send the secret itself. Raises LoginRefused."""
        identity = await self.find(credential_id, resource)
        if not hmac.compare_digest(self.secret_of(identity).encode(), secret.encode()):
            raise LoginRefused("wrong secret")
        return identity

    def is_session_allowed(self, credential_id: str) -> bool:
        """Whether a live session may go on: its credential neither expired nor revoked. True without a credential."""
        if not credential_id:
            return True
        payload = self._view.get(ControlKind.CREDENTIAL, credential_id)
        if payload is None or self._is_revoked(credential_id, *payload.get("parents", ())):
            return False
        return int(payload.get("expires_at", 0)) > now_us()

    def _is_revoked(self, *credential_ids: str) -> bool:
        """Whether one of them is: a credential ends with those it was derived from."""
        return any(self._view.get(ControlKind.REVOCATION, id) is not None for id in credential_ids)

    def _checked(self, payload: dict[str, object], resource: Resource) -> Credential:
        try:
            credential = Credential.model_validate(payload)
        except ValidationError:
            raise LoginRefused("malformed credential") from None
        if self._is_revoked(credential.id, *credential.parents):
            raise LoginRefused("revoked credential")
        if credential.expires_at <= now_us():
            raise LoginRefused("expired credential")
        if resource.name not in credential.resources and "*" not in credential.resources:
            raise LoginRefused(f"credential is not for {resource.name}")
        return credential
