"""What masks answers in a proxy: one masker of the home's token key, and what each of policy's orders makes of it."""

import asyncio
import logging

from masking.catalog import rule_version
from masking.engine import Masker
from masking.inline.model import MaskOrder
from masking.inline.values import ValueMasker, ValueMaskers
from masking.tokens import TokenRing
from policy.model import MaskObligation, PolicyEngine, TypedMask, Unreadable
from schemas.errors import ConfigError
from schemas.keys import RingWatch
from schemas.runtime import Home

log = logging.getLogger(__name__)


class Masks:
    """One for each process. Compiling the detectors takes seconds: once, at the start if policy may ask for it.

    `token_key` is the reference of settings (`masking.token_key`).
    """

    def __init__(self, home: Home, token_key: str) -> None:
        self._keys = RingWatch(home, token_key)
        self._tokens: TokenRing | None = None
        self._maskers: ValueMaskers | None = None

    async def prepare(self, engine: PolicyEngine) -> None:
        """Get ready, in a thread, when a decision may ask for it. Raises ConfigError when the token key is missing."""
        if engine.may_mask and self._maskers is None:
            self._maskers = await asyncio.to_thread(self._make)

    def masker_for(self, obligation: MaskObligation) -> ValueMasker:
        """What carries out an obligation. Raises ValueError when it names labels that no detector has."""
        if self._maskers is None:
            self._maskers = self._make()
        return self._maskers.masker_for(order_of(obligation))

    def follow_keys(self) -> None:
        """Go over to a rotated token key; with one that cannot be read, stay with the last. Cheap: call it often."""
        if self._tokens is None:
            return
        try:
            ring = self._keys.poll()
        except ConfigError as error:
            log.error("the token key cannot be read, the last one stays in use: %s", error)
            return
        if ring is not None:
            self._tokens.replace(ring.keys)

    def _make(self) -> ValueMaskers:
        tokens = TokenRing(self._keys.read().keys)
        made = ValueMaskers(Masker(tokens=tokens, rule_version=rule_version()))
        self._tokens = tokens
        return made


def order_of(obligation: MaskObligation) -> MaskOrder:
    """Policy's words in masking's: neither of the two knows the other."""
    return MaskOrder(
        obligation.labels,
        obligation.columns,
        has_stand_ins=obligation.typed is TypedMask.STAND_IN,
        is_strict=obligation.unreadable is Unreadable.REFUSE,
    )
