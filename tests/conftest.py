"""Fixtures live in tests/support/, one file a server."""

# A module comes before those that import it: pytest rewrites the asserts of what is not imported yet.
pytest_plugins = [
    "tests.support.kafka",
    "tests.support.store",
    "tests.support.postgres",
    "tests.support.http_api",
    "tests.support.http_edges",
    "tests.support.http2_upstream",
    "tests.support.scripted_upstream",
    "tests.support.homes",
    "tests.support.oidc_provider",
    "tests.support.api",
    "tests.support.receiver",
]
