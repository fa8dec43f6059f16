"""Models of signing in and of token exchange (RFC 8693)."""

from pydantic import Field

from console.api.models import Answered, Filter
from console.api.routing import Document
from schemas.resources import Delegate

# ── signing in ──


class SignInSettings(Answered):
    """What a client needs to sign a person in: at the provider (device flow, RFC 8628), or by a browser (`device`)."""

    issuer: str = ""
    client_id: str = ""
    scopes: list[str] = Field(default_factory=list)
    device: str = Field(
        "", description="where people sign in with a browser only: path that gives a code to enter there"
    )


class IdToken(Document):
    """An ID token of the provider for Custody's client id. It begins one session, once."""

    id_token: str = Field(min_length=1, max_length=16_384)


class SignedIn(Answered):
    """A session. The token is a bearer token, shown this once."""

    token: str
    principal: str
    groups: list[str]
    roles: list[str]
    expires_at: int = Field(description="µs since the epoch, UTC")


# ── token exchange (RFC 8693) ──


class TokenRequest(Document):
    """A form. Every parameter stands once, but for `audience`."""

    grant_type: str = Field(max_length=200)
    client_id: str = Field(
        "",
        max_length=2048,
        description="SPIFFE id of who asks, proven by the client certificate of the connection; with a code: the agent",
    )
    code: str = Field("", max_length=200, description="authorization_code: what the person's browser brought")
    code_verifier: str = Field("", max_length=200, description="authorization_code: PKCE (RFC 7636)")
    redirect_uri: str = Field("", max_length=1000, description="authorization_code: where the code was sent")
    resource: list[Filter] = Field(
        default_factory=list, max_length=1, description="authorization_code: URL of the MCP server (RFC 8707)"
    )
    subject_token: str = Field(
        "", max_length=16_384, description="whose authority is used; client_credentials: none, one's own"
    )
    subject_token_type: str = Field("", max_length=200, description="urn:ietf:params:oauth:token-type:id_token, …")
    actor_token: str = Field("", max_length=16_384, description="who acts, when it is another")
    actor_token_type: str = Field("", max_length=200)
    requested_token_type: str = Field("", max_length=200)
    audience: list[Filter] = Field(default_factory=list, max_length=100, description="resources; none: all granted")
    agent: str = Field("", max_length=200, description="the agent, where no workload proves it")
    agent_version: str = Field("", max_length=100, description="as who asks says")
    charter: str = Field("", max_length=128, description="as who asks says: hash of what the agent was told to do")
    run_id: str = Field("", max_length=200, description="as who asks says")
    lifetime: int = Field(3600, ge=1, le=7_776_000, description="seconds; at most as long as the grant allows")


class TokenAnswer(Answered):
    """A credential. `access_token` is the bearer form of it, `credential_id` and `secret` the login form."""

    access_token: str
    issued_token_type: str
    token_type: str
    expires_in: int
    credential_id: str
    secret: str
    expires_at: int = Field(description="µs since the epoch, UTC")
    principal: str
    agent: str
    delegation: list[Delegate]
    audience: list[str]
