"""What tests of sessions share."""

from collections.abc import AsyncIterator

import pytest

from ingest.session import Recorder
from masking.tokens import DigestKey
from schemas.config import Capture, find_settings
from schemas.runtime import Home
from schemas.wire import kafka
from schemas.wire.publisher import Publisher
from schemas.wire.sealing import Sealer


@pytest.fixture
async def recorder(home: Home) -> AsyncIterator[Recorder]:
    sealer = Sealer("proxy-tcp", home.signing_key("proxy-tcp"), home.unseal_public())
    config = kafka.producer_config(find_settings(home), home, "proxy")
    publisher = Publisher(config, sealer, Capture())
    await publisher.start()
    yield Recorder(publisher, DigestKey(b"d" * 32))
    await publisher.close(5)
