"""Errors in a PostgreSQL answer: which action fails, which are skipped, and refusals in the place of errors."""

from typing import Final

from ingest.codecs.base import AGENT, HOLD_REQUEST, Action, Noted, Piece
from ingest.codecs.postgres_outflow import finish
from ingest.codecs.postgres_rows import Rows
from ingest.codecs.postgres_state import LOST, MAYBE_SYNC, NOT_EXECUTED, F, Flight, Q, S, fail_expected
from ingest.codecs.postgres_wire import error_response, read_fields

FATAL: Final = ("FATAL", "PANIC")
MAX_TEXT: Final = 4096


class Failures(Rows):
    """ErrorResponse."""

    def _error(self, pos: int, after: int) -> None:
        talk = self._talk
        fields = read_fields(self._buffer, pos + 5, after, talk.encoding)
        if fields.get("severity_code", fields.get("severity")) in FATAL:
            self._fatal(fields, after)
            return
        while talk.expected and talk.expected[0].kind == MAYBE_SYNC:
            talk.expected.popleft()
        if not talk.expected:
            self._orphan_error(fields, after)
            return
        flight = talk.expected[0]
        if flight.kind in (Q, F):
            self._fail(flight.action, fields)
            if talk.copy is flight:
                talk.copy = None
            flight.copy = ""
            self._run_action = flight.action
            self._replace_or_pass(flight, after)
        else:
            self._fail_pipeline(fields, after)

    @staticmethod
    def _fail(action: Action | None, fields: dict[str, str]) -> None:
        if action is not None:
            action.status = fields.get("sqlstate") or "XX000"
            action.error = fields.get("message", "")
            for name in ("detail", "hint", "context", "position", "constraint", "table", "column", "schema"):
                if name in fields:
                    action.attributes["error_" + name] = fields[name][:4096]

    def _replace_or_pass(self, flight: Flight, after: int) -> None:
        """An ErrorResponse inside an answer; that of a refused action is replaced by the proxy's own."""
        if flight.refusal is None:
            if flight.action is not None:
                flight.action.response_bytes += after - self._pos
            self._pos = after
            return
        self._flush()
        self._pos = self._run = after
        self.out.append(self._refusal_piece(flight, flight.refusal))

    def _refusal_piece(self, flight: Flight, refusal: tuple[str, str]) -> Piece:
        code, text = refusal
        action = flight.action
        answer = error_response("ERROR", code, text)
        if action is not None:
            for name in [n for n in action.attributes if n.startswith("error_")]:
                del action.attributes[name]
            action.status, action.error = code, text
            action.response_bytes += len(answer)
        return Piece(AGENT, answer, HOLD_REQUEST, action)

    def _fail_pipeline(self, fields: dict[str, str], after: int) -> None:
        """An error in the extended protocol: its action fails, the rest up to the Sync is not executed."""
        talk, expected = self._talk, self._talk.expected
        deferred = self._deferred
        if expected[0].kind == S and deferred is not None:  # the commit of a Sync has failed
            self._fail(deferred, fields)
            deferred.response_bytes += after - self._pos
            self._pos = after
            return
        owner = expected[0].owner  # a part of the action that its Execute started
        failed: Flight | None = None
        skipped: list[Action] = []
        while expected and expected[0].kind != S:
            flight = expected.popleft()
            fail_expected(talk, flight)
            if talk.copy is flight:
                talk.copy = None
            action = flight.action
            if action is None:
                continue
            if action is owner:
                failed = flight
                self._fail(action, fields)
            else:
                if flight.refusal is not None:
                    action.status, action.error = flight.refusal
                else:
                    action.error = NOT_EXECUTED
                skipped.append(action)
        if not expected:
            talk.is_skipping = True
        if failed is not None and failed.action is not None:
            self._end_failed(failed, failed.action, skipped, after)
            return
        self.out.append(Noted("error", brief(fields)))
        self._pos = after
        for action in skipped:
            self._complete(action)

    def _end_failed(self, failed: Flight, action: Action, skipped: list[Action], after: int) -> None:
        self._flush()
        self._run_action = action
        self._replace_or_pass(failed, after)
        finish(failed, action)
        is_marked = failed.refusal is None and not self._talk.syncs
        if is_marked:
            self._pos = self._run  # it goes as the end mark
            action.response_bytes += self._cut
        self._complete(action)
        for other in skipped:
            self._complete(other)
        if is_marked:
            self._mark(after, action)

    def _orphan_error(self, fields: dict[str, str], after: int) -> None:
        self.out.append(Noted("error", brief(fields)))
        self._pos = after

    def _fatal(self, fields: dict[str, str], after: int) -> None:
        """The upstream ends the session: all that is in flight ends here."""
        self._flush()
        self.fatal = fields.get("sqlstate") or "XX000"
        expected = self._talk.expected
        head = next((f.action for f in expected if f.action is not None), self._deferred)
        self._fail(head, fields)
        if head is not None:
            head.response_bytes += after - self._pos
        else:
            self.out.append(Noted("error", brief(fields)))
        done = self.complete_all(LOST, "the upstream ended the session")
        self._mark(after, done[-1] if done else None)


NAME_TOO_LONG: Final = "42622"


def brief(fields: dict[str, str]) -> dict[str, str]:
    """What is noted of a message. "Identifier … will be truncated to …" repeats a name that the server has cut: half a
    secret is none that masking knows, so its text is left out. The whole name is in the statement."""
    names = ("severity", "sqlstate") if fields.get("sqlstate") == NAME_TOO_LONG else ("severity", "sqlstate", "message")
    return {name: fields[name][:4096] for name in names if name in fields}
