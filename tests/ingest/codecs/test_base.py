"""Every codec keeps the contract."""

import inspect

import pytest

from ingest.codecs.base import Codec
from ingest.codecs.opaque import OpaqueCodec
from ingest.codecs.postgres import PostgresCodec

METHODS = sorted(name for name in vars(Codec) if callable(getattr(Codec, name)) and not name.startswith("_"))


def test_the_contract_is_what_the_relay_uses() -> None:
    assert METHODS == ["backlog", "mask", "notice", "receive", "receive_eof", "refuse", "take_steps"]


@pytest.mark.parametrize("codec", [OpaqueCodec("TUNNEL x:1"), PostgresCodec()])
def test_a_codec_has_every_method_and_is_quiet_without_bytes(codec: Codec) -> None:
    for name in METHODS:
        wanted = list(inspect.signature(getattr(Codec, name)).parameters)[1:]
        assert list(inspect.signature(getattr(codec, name)).parameters)[: len(wanted)] == wanted
    assert codec.take_steps() == []
