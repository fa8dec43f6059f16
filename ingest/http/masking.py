"""What an HTTP stream does because policy wants its answer masked: to the request's head, and to the answer's."""

from typing import Any

from mitmproxy import http
from mitmproxy.proxy.context import Context

from ingest.gate import Ruling
from ingest.http import heads
from ingest.http.connection import AgentConnection
from ingest.http.endings import EndingStream
from ingest.http.masked import MaskedAnswer, ask_for_whole, fit_fields
from masking.inline.headers import VALIDATORS, without
from masking.inline.model import Unreadable


class MaskingStream(EndingStream):
    """A stream whose answer may be masked."""

    def __init__(self, context: Context, stream_id: int, agent: AgentConnection) -> None:
        super().__init__(context, stream_id, agent)
        self.masked: MaskedAnswer | None = None
        self.answer_fields: heads.Fields = ()
        self.shown: bytes | None = None
        """What a held body reads like once it is masked."""

    def note_mask(self, ruling: Ruling) -> None:
        """The answer will be masked, if the ruling says so."""
        if ruling.mask is not None:
            self.masked = self.exchange.masked = MaskedAnswer(ruling.mask, ruling.attributes)

    def ask_for_whole(self) -> None:
        """Ask the upstream for what can be masked."""
        if self.masked is not None:
            request = self.flow.request
            fields = ask_for_whole(request.headers.fields, is_safe=request.method in heads.SAFE_METHODS)
            request.headers = http.Headers(fields)

    def mask_head(self, response: http.Response, has_body: bool) -> Any:
        """Mask the head, and get ready for the body. False: it cannot be masked (the agent has its answer)."""
        masked = self.masked
        if masked is None:
            return True
        response.headers = http.Headers(masked.fields(response.headers.fields))
        response.data.reason = masked.reason(response.data.reason)
        if response.status_code == 101:
            return True
        if not has_body:
            is_head = self.flow.request.method == "HEAD"
            fields = without(response.headers.fields, VALIDATORS)
            response.headers = http.Headers(without(fields, frozenset((b"content-length",))) if is_head else fields)
            return True
        try:
            masked.begin_body(response.status_code, response.headers.fields)
        except Unreadable as fault:
            yield from self.withhold(str(fault), b"", is_over=False)
            return False
        return True

    def mask_held(self, body: bytes) -> bytes:
        """A held body masked, and the head that fits it. Raises Unreadable."""
        masked, response = self.masked, self.response
        if masked is None or not body:
            return body
        sent, self.shown = masked.body.rewrite_whole(body)
        is_changed = sent is not body
        if is_changed:
            response.headers = http.Headers(fit_fields(response.headers.fields, len(sent)))
        self.mask_trailers(is_changed=is_changed)
        self.answer_fields = response.headers.fields
        return sent

    def mask_trailers(self, *, is_changed: bool) -> None:
        trailers = self.response.trailers
        if self.masked is not None and trailers:
            fields = self.masked.fields(trailers.fields)
            self.response.trailers = http.Headers(without(fields, VALIDATORS) if is_changed else fields)
