"""What masks answers in a proxy: one masker of the home's token key, and what each of policy's orders makes of it."""

import asyncio

from masking.catalog import rule_version
from masking.engine import Masker
from masking.inline.model import MaskOrder
from masking.inline.values import ValueMasker, ValueMaskers
from masking.tokens import TokenKey
from policy.model import MaskObligation, PolicyEngine, TypedMask, Unreadable
from schemas.runtime import Home


class Masks:
    """One for each process. Compiling the detectors takes seconds: once, at the start if policy may ask for it."""

    def __init__(self, home: Home) -> None:
        self._home = home
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

    def _make(self) -> ValueMaskers:
        return ValueMaskers(Masker(tokens=TokenKey(self._home.read_key("token.key")), rule_version=rule_version()))


def order_of(obligation: MaskObligation) -> MaskOrder:
    """Policy's words in masking's: neither of the two knows the other."""
    return MaskOrder(
        obligation.labels,
        obligation.columns,
        has_stand_ins=obligation.typed is TypedMask.STAND_IN,
        is_strict=obligation.unreadable is Unreadable.REFUSE,
    )
