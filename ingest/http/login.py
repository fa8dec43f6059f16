"""Who asks, and for which resource: the first question about every request."""

from collections.abc import Generator
from typing import Any, Final

from mitmproxy import http
from mitmproxy.proxy import commands
from mitmproxy.proxy.context import Context

from ingest.admission import SessionRefused
from ingest.http import heads
from ingest.http.answer import AnswerStream
from ingest.http.authorization import challenge, describe
from ingest.http.connection import MAX_REFUSALS, AgentConnection, AwaitHook, Live
from ingest.identity import LoginRefused
from schemas.resources import Resource

Commands = Generator[commands.Command, Any]
Check = Generator[commands.Command, Any, bool]

UNAUTHORIZED: Final = 401
PROXY_UNAUTHORIZED: Final = 407
CHALLENGES: Final = {
    401: ((b"WWW-Authenticate", b'Bearer realm="custody"'), (b"WWW-Authenticate", b'Basic realm="custody"')),
    407: ((b"Proxy-Authenticate", b'Basic realm="custody"'), (b"Proxy-Authenticate", b'Bearer realm="custody"')),
}


class LoginStream(AnswerStream):
    """What CapturedStream does before it looks at what is asked for."""

    def __init__(self, context: Context, stream_id: int, agent: AgentConnection) -> None:
        super().__init__(context, stream_id, agent)
        self.live: Live
        self.resource: Resource
        self.is_known = False

    def describe(self, request: http.Request) -> Commands:
        """What tokens an MCP server takes, told to anybody."""
        proxy = self.agent.shared.proxy
        client = self.context.client
        document = describe(request, proxy.settings, proxy.home, port=client.sockname[1], is_tls=client.tls)
        yield from self.answer_locally(200, "", "", document=document)

    def identify(self, request: http.Request, resource: Resource) -> Check:
        """Find or begin the session of who asks. False when the request was answered: nobody may go on."""
        claim = self._find_claim(request)
        if claim is None:
            yield from self._refuse_login("a Custody credential is needed", resource, "", "no credential")
            return False
        live = self.agent.find(claim, resource)
        if live is None:
            live = yield from self._begin_session(claim, resource)
            if live is None:
                return False
        self.live, self.resource, self.is_known = live, resource, True
        if live.session.is_audit_lost:
            yield from self.refuse_unrecorded()
            return False
        return True

    def find_resource(self, request: http.Request) -> Resource | None:
        """What the request is for; None for what is not registered."""
        shared, agent = self.agent.shared, self.agent
        if agent.fixed:
            return shared.resources.get(agent.fixed)
        if agent.tunnel:
            resource = shared.resources.get(agent.tunnel[0])
            named = heads.split_authority(request.authority or request.host_header or "", 0)
            return resource if resource and (named is None or named[0] == resource.upstream.host.lower()) else None
        return shared.by_address.get((request.host.lower(), request.port))

    def turn_away(
        self,
        status: int,
        code: str,
        message: str,
        resource: Resource | None = None,
        credential_id: str = "",
        detail: str = "",
    ) -> Commands:
        """Refuse somebody who is not logged in; recorded as a session of nobody."""
        agent = self.agent
        known = resource or agent.shared.resources.get(agent.fixed) or agent.shared.unregistered
        agent.refuse(code, known, credential_id, detail)
        is_last = agent.refusals >= MAX_REFUSALS or status == 400
        yield from self.answer_locally(status, code, message, self._challenges(status, known), is_last=is_last)

    def _begin_session(self, claim: heads.Claim, resource: Resource) -> Generator[commands.Command, Any, Live | None]:
        found: list[Live] = []

        async def login() -> None:
            found.append(await self.agent.login(claim, resource))

        wait = AwaitHook(login)
        yield wait
        if isinstance(wait.error, LoginRefused):
            message = "the credential is not accepted"
            yield from self._refuse_login(message, resource, claim.credential_id, str(wait.error))
        elif isinstance(wait.error, SessionRefused):
            self.agent.refusals += 1
            is_last = self.agent.refusals >= MAX_REFUSALS
            yield from self.answer_locally(403, wait.error.name, str(wait.error), is_last=is_last)
        elif wait.error is not None or not found:
            yield from self.refuse_unrecorded()
        else:
            return found[0]
        return None

    def _find_claim(self, request: http.Request) -> heads.Claim | None:
        """The credential shown, taken out of the request for good."""
        if self.agent.tunnel:
            return self.agent.tunnel[1]
        fields = request.headers.fields
        names = (b"proxy-authorization", b"authorization") if self.agent.fixed else (b"proxy-authorization",)
        for name in names:
            value = heads.first_value(fields, name)
            claim = heads.read_claim(value) if value is not None else None
            if claim is not None:
                request.headers = http.Headers(heads.without(fields, frozenset({name, b"proxy-authorization"})))
                return claim
        return None

    def _refuse_login(self, message: str, resource: Resource, credential_id: str, detail: str) -> Commands:
        status = UNAUTHORIZED if self.agent.fixed or self.agent.tunnel else PROXY_UNAUTHORIZED
        yield from self.turn_away(status, "login_refused", message, resource, credential_id, detail)

    def _challenges(self, status: int, resource: Resource) -> tuple[heads.Field, ...]:
        """How to log in; for an MCP server also where that is described."""
        if status != UNAUTHORIZED or resource.speaks != "mcp":
            return CHALLENGES.get(status, ())
        client, host = self.context.client, self.agent.shared.proxy.settings.capture.public_host
        return (challenge(self.flow.request, host, port=client.sockname[1], is_tls=client.tls),)
