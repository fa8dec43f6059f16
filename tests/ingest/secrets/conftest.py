from collections.abc import Iterator

import pytest

from tests.support.json_server import JsonServer, run_json_server


@pytest.fixture
def server() -> Iterator[JsonServer]:
    with run_json_server() as running:
        yield running
