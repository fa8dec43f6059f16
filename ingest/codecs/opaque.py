"""Any protocol at all: one open-ended action a connection, its bytes in chunks, nothing understood."""

from typing import Final

from ingest.codecs.base import Action, Closed, Completed, Hold, Piece, Progressed, Requested, Side, Step
from masking.inline.model import Unreadable

_OTHER: Final = {Side.AGENT: Side.UPSTREAM, Side.UPSTREAM: Side.AGENT}


class OpaqueCodec:
    """Implements `base.Codec`. The tunnel is requested by the first byte of either side and completed by the last."""

    def __init__(self, statement: str) -> None:
        self._action = Action(statement, kind="tunnel", is_bounded=False)
        self._steps: list[Step] = []
        self._ended: set[Side] = set()
        self._is_open = False
        self._is_over = False

    def receive(self, source: Side, data: bytes) -> None:
        """Feed bytes; they leave as they came."""
        if self._is_over:
            return
        self._open()
        if source is Side.AGENT:
            self._action.request_bytes += len(data)
        else:
            self._action.response_bytes += len(data)
        self._steps.append(Progressed(self._action, source, data))
        self._steps.append(Piece(_OTHER[source], data, Hold.REQUEST, self._action))

    def receive_eof(self, source: Side) -> None:
        """One side is done; the tunnel is over when both are."""
        self._ended.add(source)
        if len(self._ended) == len(Side) and self._is_open and not self._is_over:
            self._is_over = True
            self._steps.append(Completed(self._action))

    def take_steps(self, source: Side | None = None) -> list[Step]:
        """What follows from the bytes fed so far; the request alone, so that it can be refused before its bytes.

        Nothing waits for a person here: whether a tunnel may be is decided at once.
        """
        due = 1 if self._steps and isinstance(self._steps[0], Requested) else len(self._steps)
        steps, self._steps = self._steps[:due], self._steps[due:]
        return steps

    def backlog(self, source: Side) -> int:
        """Nothing waits here: a chunk leaves with the step it caused."""
        return 0

    def notice(self, message: str) -> bytes:
        """There are no asides in an unknown protocol."""
        return b""

    def mask(self, action: Action) -> None:
        """Nothing is understood here."""
        if action.mask is not None:
            raise Unreadable("what is said in this protocol is not understood")

    def refuse(self, action: Action, code: str, message: str) -> None:
        """There are no words in an unknown protocol: the connection ends."""
        action.status, action.error = code, message
        self._is_over = True
        self._steps = [Completed(action), Closed("refused")]

    def _open(self) -> None:
        if not self._is_open:
            self._is_open = True
            self._steps.append(Requested(self._action))
