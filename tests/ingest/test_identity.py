"""Credentials: who may log in where, and when no more."""

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ingest.identity import Identities, LoginRefused
from schemas.events import ControlKind, SessionContext
from schemas.resources import Credential, Resource
from schemas.runtime import now_us
from schemas.wire.control import ControlState, sign_entry
from schemas.wire.mint import mint_secret

MINT = b"m" * 32
API = Ed25519PrivateKey.generate()
DB = Resource.model_validate({"name": "db", "protocol": "postgres", "listen": 1, "upstream": {"host": "h", "port": 1}})


class View(ControlState):
    """The state of control without a broker; what arrives late is applied by `refresh`."""

    def __init__(self) -> None:
        super().__init__(API.public_key())
        self.late: list[Credential] = []

    def put(self, credential: Credential) -> None:
        payload = credential.model_dump_json()
        self.apply(sign_entry(ControlKind.CREDENTIAL, credential.id, payload, "api", API))

    def refresh(self, _timeout_s: float) -> bool:
        for credential in self.late:
            self.put(credential)
        return True


def credential(**changes: Any) -> Credential:
    values: dict[str, Any] = {
        "id": "agent-1",
        "principal": "ann",
        "agent": "planner",
        "delegation": [{"actor": "planner", "on_behalf_of": "ann"}],
        "run_id": "run-7",
        "resources": ["db"],
        "expires_at": now_us() + 60_000_000,
    }
    return Credential.model_validate(values | changes)


def make(*credentials: Credential) -> tuple[Identities, View]:
    view = View()
    for item in credentials:
        view.put(item)
    return Identities(view, MINT), view  # type: ignore[arg-type]


async def test_the_right_secret_logs_in_and_fills_the_context() -> None:
    known = credential()
    identities, _ = make(known)
    identity = await identities.login(known.id, mint_secret(MINT, known.id, known.expires_at), DB)
    context = SessionContext("s", "?", "?")
    identity.apply_to(context)
    assert (context.principal, context.agent, context.run_id, context.credential_id) == (
        "ann",
        "planner",
        "run-7",
        "agent-1",
    )
    assert context.delegation[0].on_behalf_of == "ann"


@pytest.mark.parametrize("secret", ["", "wrong", "ü" * 52])
async def test_a_wrong_secret_is_refused(secret: str) -> None:
    identities, _ = make(credential())
    with pytest.raises(LoginRefused, match="wrong secret"):
        await identities.login("agent-1", secret, DB)


@pytest.mark.parametrize(
    ("change", "reason"),
    [({"resources": ["other"]}, "not for db"), ({"expires_at": 1}, "expired"), ({"id": "agent-2"}, "unknown")],
)
async def test_refusals_have_their_reason(change: dict[str, Any], reason: str) -> None:
    identities, _ = make(credential(**change))
    with pytest.raises(LoginRefused, match=reason):
        await identities.find("agent-1", DB)


async def test_a_credential_written_a_moment_ago_is_found() -> None:
    identities, view = make()
    view.late = [credential()]
    assert (await identities.find("agent-1", DB)).credential.agent == "planner"


async def test_a_revoked_credential_is_over_at_once() -> None:
    identities, view = make(credential())
    assert identities.is_session_allowed("agent-1")
    view.apply(sign_entry(ControlKind.REVOCATION, "agent-1", "{}", "api", API))
    view.apply(sign_entry(ControlKind.REVOCATION, "agent-1", '{"reason": "lost"}', "api", API))
    assert not identities.is_session_allowed("agent-1")
    with pytest.raises(LoginRefused, match="revoked"):
        await identities.find("agent-1", DB)


async def test_a_credential_ends_with_those_it_was_derived_from() -> None:
    identities, view = make(credential(id="child-1", parents=["root-1", "middle-1"]))
    assert identities.is_session_allowed("child-1")
    view.apply(sign_entry(ControlKind.REVOCATION, "root-1", '{"reason": "lost"}', "api", API))
    assert not identities.is_session_allowed("child-1")
    with pytest.raises(LoginRefused, match="revoked"):
        await identities.find("child-1", DB)


async def test_groups_version_and_charter_are_in_the_session() -> None:
    known = credential(groups=["security", "developers"], agent_version="1.2", charter="ab12")
    identities, _ = make(known)
    context = SessionContext("s", "?", "?", attributes={"kept": "yes"})
    (await identities.find(known.id, DB)).apply_to(context)
    assert context.attributes == {
        "kept": "yes", "groups": "security,developers", "agent_version": "1.2", "charter": "ab12",
    }  # fmt: skip


@pytest.mark.parametrize("group", ["a,b", "", "x" * 201, "a\nb", "a\x00"])
async def test_a_group_that_could_pass_for_several_is_no_group(group: str) -> None:
    with pytest.raises(ValueError, match="groups"):
        credential(groups=[group])


async def test_sessions_without_a_credential_go_on() -> None:
    identities, _ = make()
    assert identities.is_session_allowed("")
    assert not identities.is_session_allowed("agent-9")


async def test_a_bound_credential_needs_its_workloads_certificate() -> None:
    view, mine = View(), "spiffe://mesh.example/planner"
    view.put(credential(spiffe_id=mine))
    identities = Identities(view, MINT)  # type: ignore[arg-type]
    assert (await identities.find("agent-1", DB, mine)).credential.spiffe_id == mine
    for other in ("", "spiffe://mesh.example/executor"):
        with pytest.raises(LoginRefused, match="bound to a client certificate"):
            await identities.find("agent-1", DB, other)
    secret = identities.secret_of(await identities.find("agent-1", DB, mine))
    with pytest.raises(LoginRefused, match="bound to a client certificate"):
        await identities.login("agent-1", secret, DB)
