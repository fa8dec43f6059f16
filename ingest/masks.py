"""What masks answers in a proxy: one masker of the home's token key, and what each of policy's orders makes of it."""

import asyncio
import logging

from masking.catalog import rule_version
from masking.engine import Masker
from masking.inline.model import MaskOrder
from masking.inline.values import ValueMasker, ValueMaskers
from masking.tokens import TokenRing
from policy.model import MaskObligation, PolicyEngine, TypedMask, Unreadable
from schemas.cache import PrivateCache, shipped_dir
from schemas.errors import ConfigError
from schemas.keys import RingWatch
from schemas.runtime import Home

log = logging.getLogger(__name__)


class MasksUnready(Exception):
    """The detectors are being compiled, or the token key cannot be read: later there may be a masker."""


class Masks:
    """One for each process. Compiling the detectors takes seconds: in a thread, once, as soon as policy may ask for it.

    `token_key` is the reference of settings (`masking.token_key`).
    """

    def __init__(self, home: Home, token_key: str) -> None:
        self._home = home
        self._keys = RingWatch(home, token_key)
        self._tokens: TokenRing | None = None
        self._maskers: ValueMaskers | None = None
        self._engine: PolicyEngine | None = None
        self._preparing: asyncio.Task[None] | None = None

    async def prepare(self, engine: PolicyEngine) -> None:
        """Get ready when a decision may ask for it, and follow the engine from now on: its policies may change.

        Raises ConfigError when the token key is missing."""
        self._engine = engine
        if engine.may_mask and self._maskers is None:
            self._tokens, self._maskers = await asyncio.to_thread(self._make)

    def masker_for(self, obligation: MaskObligation) -> ValueMasker:
        """What carries out an obligation. Raises ValueError when it names labels that no detector has, MasksUnready."""
        if self._maskers is None:
            raise MasksUnready
        return self._maskers.masker_for(order_of(obligation))

    def follow(self) -> None:
        """Go over to a rotated token key; with one that cannot be read, stay with the last. Get ready when a change of
        policy asks for the first masks. Cheap: call it often, in the loop."""
        if self._tokens is None:
            if self._engine is not None and self._engine.may_mask and self._preparing is None:
                self._preparing = asyncio.get_running_loop().create_task(self._prepare_late(self._engine))
            return
        try:
            ring = self._keys.poll()
        except ConfigError as error:
            log.error("the token key cannot be read, the last one stays in use: %s", error)
            return
        if ring is not None:
            self._tokens.replace(ring.keys)
            if self._maskers is not None:
                self._maskers.forget()

    async def _prepare_late(self, engine: PolicyEngine) -> None:
        try:
            await self.prepare(engine)
        except ConfigError as error:
            log.error("what policy wants masked is refused until the token key can be read: %s", error)
        finally:
            self._preparing = None

    def _make(self) -> tuple[TokenRing, ValueMaskers]:
        tokens = TokenRing(self._keys.read().keys)
        kept = PrivateCache(self._home.cache, shipped_dir())
        return tokens, ValueMaskers(Masker(tokens=tokens, rule_version=rule_version(), kept=kept))


def order_of(obligation: MaskObligation) -> MaskOrder:
    """Policy's words in masking's: neither of the two knows the other."""
    return MaskOrder(
        obligation.labels,
        obligation.columns,
        has_stand_ins=obligation.typed is TypedMask.STAND_IN,
        is_strict=obligation.unreadable is Unreadable.REFUSE,
    )
