"""Fixtures live in tests/support/, one file a server."""

pytest_plugins = ["tests.support.kafka"]
