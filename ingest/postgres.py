"""PostgreSQL connections: login on both legs, cancels, then the relay. What the bytes mean is in `codecs/postgres*.py`.

The agent proves that it has the secret of its Custody credential; the upstream sees the resource's own user and secret.
"""

import asyncio
import contextlib
import logging
import secrets
from base64 import b64encode
from dataclasses import dataclass

from ingest.admission import QUARANTINED, SessionRefused
from ingest.codecs.base import Side
from ingest.codecs.postgres import PostgresCodec
from ingest.codecs.postgres_startup import (
    AgentStartup,
    AgentTerms,
    Authenticated,
    CancelRequested,
    CredentialNeeded,
    Password,
    Proven,
    SendTo,
    StartTls,
    StartupFailed,
    StartupStep,
    UpstreamReady,
)
from ingest.codecs.postgres_state import Limits
from ingest.codecs.postgres_upstream import UpstreamLogin, UpstreamStartup
from ingest.codecs.postgres_wire import CancelKey, cancel_request, error_response
from ingest.connection import Service, connect_upstream, upstream_tls
from ingest.identity import Identity, LoginRefused, as_nobody
from ingest.leg import Leg
from ingest.relay import AUDIT_LOST, Relay
from ingest.session import Session
from schemas.client_tls import client_chain
from schemas.errors import AuditUnavailable, ConfigError, Unreachable
from schemas.events import EventKind, SessionContext
from schemas.spiffe import Svid, SvidRefused

log = logging.getLogger(__name__)

CANNOT_CONNECT = "08006"
STOPPED = "28000"
TLS_MODES = {"off": "disable", "require": "require", "verify": "require"}


def fatal(code: str, message: str) -> bytes:
    """The protocol's last words."""
    return error_response("FATAL", code, message)


@dataclass(slots=True)
class _Login:
    """What the agent's start-up brought: who, and the bytes that came behind it."""

    authenticated: Authenticated
    identity: Identity
    unread: bytes


async def serve_postgres(service: Service, agent: Leg) -> None:
    """One connection of an agent, from its first byte to its end."""
    context = service.new_context(agent)
    try:
        async with asyncio.timeout(service.resource.limits.connect_timeout_s):
            login = await _log_in_agent(service, agent, context)
    except TimeoutError:
        _record_refusal(service, context, CANNOT_CONNECT, "the login took too long")
        login = None
    if login is None:
        agent.close()
        return
    try:
        session = service.proxy.open_session(context, service.resource)
        await session.wait(session.opened_ticket)
    except SessionRefused as refused:
        agent.write(fatal(STOPPED, f"Custody: {refused}"))
        agent.close()
        return
    except AuditUnavailable:
        agent.write(fatal(AUDIT_LOST, "Custody: the audit log does not answer; try again later"))
        agent.close()
        return
    try:
        await _serve_session(service, session, agent, login)
    finally:
        session.close("failed")  # only if nothing closed it before
        agent.close()


async def _serve_session(service: Service, session: Session, agent: Leg, login: _Login) -> None:
    try:
        started = await _log_in_upstream(service, agent, login)
    except (Unreachable, ConfigError, OSError, TimeoutError) as error:
        session.close("upstream_unreachable", error=str(error))
        agent.write(fatal(CANNOT_CONNECT, f"Custody: the upstream cannot be reached: {error}"))
        return
    if started is None:
        session.close("upstream_refused")
        return
    upstream, ready, unread = started
    limits = service.resource.limits
    codec = PostgresCodec(
        limits=Limits(
            max_rows=limits.max_rows,
            max_payload_bytes=limits.max_payload_bytes,
            max_statement_bytes=limits.max_statement_bytes,
        ),
        on_opaque=service.resource.on_opaque,
        digest_factory=session.new_digest,
        parameters=ready.parameters,
        status=ready.status,
    )
    relay = Relay(session, service.gate, codec, agent, upstream, fatal, service.proxy.approvals)
    if ready.agent_key is not None and ready.key is not None:
        CANCELS[ready.agent_key] = _Target(ready.key, service, relay)
    try:
        relay.start(login.unread, unread)
        await service.run(relay)
    finally:
        if ready.agent_key is not None:
            CANCELS.pop(ready.agent_key, None)
        if relay.reason == QUARANTINED and ready.key is not None:
            await _cancel_upstream(service, ready.key)  # a statement under way would go on until it answers


# -- the agent's leg


async def _log_in_agent(service: Service, agent: Leg, context: SessionContext) -> _Login | None:
    """The agent's start-up; None when it ended there, the agent having been told and the trail too."""
    startup = AgentStartup(
        AgentTerms(
            nonce=b64encode(secrets.token_bytes(18)).decode(),
            md5_salt=secrets.token_bytes(4),
            salt_key=service.proxy.salt_key,
            method=service.resource.agent_login,
            has_tls=service.listener_tls is not None,
            is_tls_required=service.is_tls_required,
        )
    )
    identity: Identity | None = None
    svid: Svid | None = None
    reason = ""
    while True:
        steps = startup.steps()
        if not steps:
            data = await agent.read()
            startup.receive(data) if data else startup.receive_eof()
        for step in steps:
            match step:
                case CredentialNeeded(user=user):
                    context.attributes["user"] = user
                    svid = _svid_of(service, agent, context)
                    try:
                        spiffe_id = str(svid.id) if svid is not None else ""
                        identity = await service.proxy.identities.find(user, service.resource, spiffe_id)
                    except LoginRefused as refusal:
                        reason = str(refusal)
                    startup.provide(_proof_of(service, identity) if identity else None)
                case Authenticated() if identity is not None:
                    context.tls = agent.tls_name
                    context.client = step.parameters.get("application_name", "")
                    context.attributes = {"database": step.database, "login": step.method}
                    if svid is not None:
                        context.attributes |= {"workload": str(svid.id), "certificate_serial": svid.serial}
                    identity.apply_to(context)
                    return _Login(step, identity, startup.unread())
                case StartupFailed(sqlstate=sqlstate, message=message):
                    _record_refusal(service, context, sqlstate, reason or message)
                    return None
                case CancelRequested(key=key):
                    await _cancel(key)
                    return None
                case SendTo(data=data):
                    agent.write(data)
                case StartTls() if service.listener_tls is not None:
                    await agent.start_tls(service.listener_tls, server_side=True)
                    startup.tls_started(None, agent.alpn)
                case _:
                    raise AssertionError(f"unexpected step {type(step).__name__}")


def _svid_of(service: Service, agent: Leg, context: SessionContext) -> Svid | None:
    """Whose client certificate the connection has proven. None without one, or with one of no workload: that may be
    there for other reasons, and proves nothing here."""
    chain = client_chain(agent.info("ssl_object")) if service.proxy.trust_domains else ()
    try:
        return service.proxy.trust_domains.verify(chain) if chain else None
    except SvidRefused as refused:
        context.attributes["certificate"] = str(refused)
        return None


def _proof_of(service: Service, identity: Identity) -> Password | Proven:
    """What the agent has to show: of a credential that is bound to a certificate, nothing more than that."""
    return Proven() if identity.credential.spiffe_id else Password(service.proxy.identities.secret_of(identity))


def _record_refusal(service: Service, context: SessionContext, sqlstate: str, reason: str) -> None:
    """A login that failed is a session too: opened, closed, with the reason."""
    if sqlstate == CANNOT_CONNECT and "user" not in context.attributes:
        return  # a port scan or a health check: nobody said anything
    as_nobody(context, context.attributes.get("user", ""))
    try:
        session = service.proxy.recorder.open_session(context, service.resource)
        session.close("login_refused", error=reason, sqlstate=sqlstate)
    except AuditUnavailable:
        log.error("a refused login could not be recorded")


# -- cancels


@dataclass(slots=True, frozen=True)
class _Target:
    key: CancelKey
    service: Service
    relay: Relay


CANCELS: dict[CancelKey, _Target] = {}
"""Where the cancel keys told to agents lead. They are random: who has one may cancel."""


async def _cancel(key: CancelKey) -> None:
    target = CANCELS.get(key)
    if target is None or target.relay.cancel():
        return
    with contextlib.suppress(AuditUnavailable):
        target.relay.session.record(EventKind.DATA_SENT, attributes={"what": "cancel_request"})
    await _cancel_upstream(target.service, target.key)


async def _cancel_upstream(service: Service, key: CancelKey) -> None:
    resource = service.resource
    try:
        leg = await connect_upstream(resource.upstream, resource.limits.connect_timeout_s)
    except Unreachable as error:
        log.warning("a cancel request did not reach the upstream: %s", error)
        return
    try:
        leg.write(cancel_request(key))
        async with asyncio.timeout(resource.limits.connect_timeout_s):
            await leg.read()  # the server says nothing and closes once it has passed the signal on
    except TimeoutError:
        log.warning("the upstream did not acknowledge a cancel request")
    finally:
        leg.close()


# -- the upstream's leg


async def _log_in_upstream(service: Service, agent: Leg, login: _Login) -> tuple[Leg, UpstreamReady, bytes] | None:
    """Connect and log in with the resource's own secret. None when the upstream refused: the agent has been told.

    A secret that the upstream refuses may have been rotated: it is asked for again, once.
    Raises Unreachable, ConfigError (no secret), OSError or TimeoutError.
    """
    try:
        return await _try_upstream(service, agent, login)
    except _SecretRefused:
        return await _try_upstream(service, agent, login)


class _SecretRefused(Exception):  # an outcome: once more with a new one
    """The upstream does not take the secret, and another may be there by now."""


async def _try_upstream(service: Service, agent: Leg, login: _Login) -> tuple[Leg, UpstreamReady, bytes] | None:
    limits = service.resource.limits
    known = await _upstream_login(service, login)
    leg = await connect_upstream(service.resource.upstream, limits.connect_timeout_s)
    try:
        async with asyncio.timeout(limits.connect_timeout_s):
            return await _drive_upstream(service, agent, leg, UpstreamStartup(known))
    except BaseException:
        leg.abort()
        raise


async def _drive_upstream(
    service: Service, agent: Leg, leg: Leg, startup: UpstreamStartup
) -> tuple[Leg, UpstreamReady, bytes] | None:
    steps: list[StartupStep] = startup.begin()
    while True:
        if not steps:
            data = await leg.read()
            startup.receive(data) if data else startup.receive_eof()
        if any(_is_worth_another_try(service, step) for step in steps):
            raise _SecretRefused
        for step in steps:
            match step:
                case SendTo(side=side, data=data):
                    (agent if side is Side.AGENT else leg).write(data)
                case StartTls():
                    upstream = service.resource.upstream
                    await leg.start_tls(upstream_tls(upstream), server_side=False, server_name=upstream.host)
                    startup.tls_started(leg.tls_end_point())
                case UpstreamReady():
                    return leg, step, startup.unread()
                case StartupFailed():
                    leg.abort()
                    return None
                case _:
                    raise AssertionError(f"unexpected step {type(step).__name__}")
        steps = startup.steps()


def _is_worth_another_try(service: Service, step: StartupStep) -> bool:
    reference = service.resource.upstream.secret
    is_refusal = isinstance(step, StartupFailed) and step.is_login_refused
    return is_refusal and bool(reference) and service.proxy.secrets.refused(reference)


async def _upstream_login(service: Service, login: _Login) -> UpstreamLogin:
    upstream = service.resource.upstream
    secret = await service.proxy.secrets.get(upstream.secret) if upstream.secret else None
    user = secret.user if secret is not None and secret.user else upstream.user
    agent = login.authenticated
    named = agent.database if agent.database != agent.user else ""  # libpq's default is the user's name
    return UpstreamLogin(
        user=user,
        database=named or upstream.database or user,
        password=secret.value if secret is not None else None,
        nonce=b64encode(secrets.token_bytes(18)).decode(),
        agent_key=CancelKey(secrets.randbits(31), secrets.token_bytes(32)),
        parameters=agent.parameters,
        tls=TLS_MODES[upstream.tls],
        protocol=agent.protocol,
        agent_protocol=agent.protocol,
    )
