from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sinks.siem.receiver import Receiver


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    running = Receiver(tmp_path)
    running.start()
    yield running
    running.stop()
