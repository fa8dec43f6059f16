"""mitmproxy is what these layers were written against."""

from mitmproxy import version
from mitmproxy.proxy.layers import http

from ingest.http import engine
from ingest.http.layers import CapturedHttpClient, install


def test_the_version_and_the_one_replaced_name() -> None:
    assert version.VERSION.startswith("12.")
    before = http.HttpClient
    try:
        install()
        assert http.HttpClient is CapturedHttpClient
    finally:
        http.HttpClient = before  # type: ignore[misc]
    assert engine.HttpStream is http.HttpStream
