"""What masks answers in a proxy: made once, with the home's token key."""

import asyncio

import pytest

from ingest.masks import Masks, MasksUnready, order_of
from masking.inline.model import MaskOrder
from masking.inline.values import NAMELESS
from masking.tokens import TokenKey
from policy.cedar_policies import load_policies
from policy.decide import CedarEngine, load_engine
from policy.live import LiveEngine
from policy.model import MaskObligation, TypedMask, Unreadable
from schemas.errors import ConfigError
from schemas.runtime import Home

KEY = "file:token.key"
MASKING = "@mask permit (principal, action, resource);"


def test_policys_words_become_maskings() -> None:
    assert order_of(MaskObligation()) == MaskOrder()
    obligation = MaskObligation(("email",), ("pay",), TypedMask.STAND_IN, Unreadable.RELAY)
    assert order_of(obligation) == MaskOrder(("email",), ("pay",), has_stand_ins=True, is_strict=False)


async def test_the_masker_is_made_once_and_ready_when_policy_may_ask(secrets_home: Home) -> None:
    masks = Masks(secrets_home, KEY)
    await masks.prepare(load_engine())
    assert masks._maskers is None
    await masks.prepare(CedarEngine(load_policies({"p": MASKING})))
    ready = masks._maskers
    assert ready is not None
    masker = masks.masker_for(MaskObligation())
    assert masks._maskers is ready and masks.masker_for(MaskObligation()) is masker
    masked = masker.mask_whole(b"12", NAMELESS)
    assert masked is not None
    assert TokenKey(secrets_home.read_key("token.key")).token(b"12") in masked.data.decode()


async def test_a_home_without_the_token_key_says_so_at_the_start(bare_home: Home) -> None:
    (bare_home.secrets / "token.key").unlink()
    with pytest.raises(ConfigError, match=r"token\.key"):
        await Masks(bare_home, KEY).prepare(CedarEngine(load_policies({"p": MASKING})))


async def test_a_rotated_token_key_is_followed(bare_home: Home, caplog: pytest.LogCaptureFixture) -> None:
    masks = Masks(bare_home, KEY)
    masks.follow()  # nothing to follow yet
    await masks.prepare(CedarEngine(load_policies({"p": MASKING})))
    masker = masks.masker_for(MaskObligation())
    before = masker.mask_whole(b"12", NAMELESS)
    path = bare_home.secrets / "token.key"
    path.write_bytes(bytes(range(32)))
    masks.follow()
    after = masker.mask_whole(b"12", NAMELESS)
    assert before is not None and after is not None and before.data != after.data
    assert TokenKey(bytes(range(32))).token(b"12") in after.data.decode()
    path.write_bytes(b"short")
    masks.follow()
    assert masker.mask_whole(b"12", NAMELESS) == after and "stays in use" in caplog.text


async def test_the_first_policy_that_masks_may_come_later(bare_home: Home, caplog: pytest.LogCaptureFixture) -> None:
    masks, engine = Masks(bare_home, KEY), LiveEngine(load_engine())
    path, elsewhere = bare_home.secrets / "token.key", bare_home.secrets / "elsewhere"
    path.rename(elsewhere)
    await masks.prepare(engine)
    masks.follow()
    assert masks._preparing is None
    engine.replace({"p": {"cedar": MASKING}})
    with pytest.raises(MasksUnready):
        masks.masker_for(MaskObligation())
    await follow(masks)
    assert "is refused until the token key can be read" in caplog.text
    with pytest.raises(MasksUnready):
        masks.masker_for(MaskObligation())
    elsewhere.rename(path)
    await follow(masks)
    assert masks.masker_for(MaskObligation()).order == MaskOrder()


async def follow(masks: Masks) -> None:
    """Follow, and wait for what was begun; meanwhile nothing is begun twice."""
    masks.follow()
    begun = masks._preparing
    masks.follow()
    assert begun is not None and masks._preparing is begun
    await asyncio.wait_for(begun, 120)
