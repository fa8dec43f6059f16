"""Fixtures of the stage tests."""

from collections.abc import Iterator

import pytest

from schemas.runtime import Home
from tests.processors.pipeline import Log, open_log
from tests.support.kafka import Kafka


@pytest.fixture
def log(kafka: Kafka, home: Home) -> Iterator[Log]:
    """The shared broker with every topic new and empty."""
    with open_log(kafka, home) as opened:
        yield opened
