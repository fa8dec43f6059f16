from datetime import timedelta
from urllib.parse import urlsplit

import pytest

from console import credentials
from schemas.config import Capture, Settings
from schemas.errors import ConfigError
from schemas.resources import Resource
from schemas.runtime import Home, now_us
from schemas.wire.mint import mint_secret


def make(protocol: str, **upstream: object) -> Resource:
    return Resource.model_validate(
        {
            "name": "r",
            "protocol": protocol,
            "listen": 1,
            "principal": "x",
            "upstream": {"host": "h", "port": 1, **upstream},
        }
    )


@pytest.fixture
def issued(bare_home: Home) -> credentials.Issued:
    return credentials.issue(bare_home, principal="p@x", agent="My Agent!", resources=["r"], ttl=timedelta(hours=1))


def test_the_secret_is_what_the_proxies_compute(bare_home: Home, issued: credentials.Issued) -> None:
    credential = issued.credential
    assert issued.secret == mint_secret(bare_home.read_key("mint.key"), credential.id, credential.expires_at)
    assert credential.id.startswith("my-agent-")
    assert 3590 < (credential.expires_at - now_us()) / 1_000_000 <= 3600
    assert issued.secret not in repr(issued)


def test_no_two_credentials_share_an_id() -> None:
    assert len({credentials.make_credential_id("a") for _ in range(100)}) == 100
    assert credentials.make_credential_id("Ümläut " * 20).count("-") >= 1
    assert len(credentials.make_credential_id("x" * 500)) <= 63


def test_a_credential_does_not_live_for_ever(bare_home: Home) -> None:
    with pytest.raises(ConfigError, match="90 days"):
        credentials.issue(bare_home, principal="p", agent="a", resources=["*"], ttl=timedelta(days=91))


@pytest.mark.parametrize("what", ["agent", "principal", "run_id"])
def test_a_name_is_one_that_a_quarantine_can_name(bare_home: Home, what: str) -> None:
    names = {"agent": "a", "principal": "p", "run_id": "r"}
    hour = timedelta(hours=1)
    credentials.issue(bare_home, **(names | {what: "é" * 512}), resources=["*"], ttl=hour)
    for name in ("x" * 513, "two\nlines", "esc\x1b[2J", "c1\x9b"):
        with pytest.raises(ConfigError, match="at most 512 characters"):
            credentials.issue(bare_home, **(names | {what: name}), resources=["*"], ttl=hour)


@pytest.mark.parametrize(
    ("protocol", "start", "end"),
    [("postgres", "postgresql", "/app"), ("http", "http", ""), ("tcp", "tcp", "")],
)
def test_urls(issued: credentials.Issued, protocol: str, start: str, end: str) -> None:
    url = urlsplit(credentials.make_url(make(protocol, database="app"), issued, "127.0.0.1", 15432, Settings()))
    assert (url.scheme, url.hostname, url.port, url.path) == (start, "127.0.0.1", 15432, end)
    if protocol != "tcp":
        assert (url.username, url.password) == (issued.credential.id, issued.secret)


def test_urls_ask_for_tls_where_the_listeners_have_it(issued: credentials.Issued) -> None:
    settings = Settings(capture=Capture(tls_certificate="/c.pem", tls_key="/k.pem"))
    assert credentials.make_url(make("postgres"), issued, "::1", 1, settings).endswith(
        "@[::1]:1/postgres?sslmode=require"
    )
    assert credentials.make_url(make("http"), issued, "h", 1, settings).startswith("https://")


def test_environment_of_http_leaves_no_way_round_the_proxy(bare_home: Home, issued: credentials.Issued) -> None:
    variables = credentials.make_environment(make("http"), issued, "", ("127.0.0.1", 8080), bare_home, Settings())
    assert variables["HTTPS_PROXY"] == f"http://{issued.credential.id}:{issued.secret}@127.0.0.1:8080"
    assert variables["NO_PROXY"] == ""
    assert {variables[name] for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")} == {
        str(bare_home.ca / "custody-ca-cert.pem")
    }


def test_environment_of_the_others(bare_home: Home, issued: credentials.Issued) -> None:
    make_environment = credentials.make_environment
    proxy = ("127.0.0.1", 1)
    assert make_environment(make("postgres"), issued, "U", proxy, bare_home, Settings()) == {"DATABASE_URL": "U"}
    assert make_environment(make("tcp"), issued, "U", proxy, bare_home, Settings()) == {}


def test_exports_are_quoted() -> None:
    assert credentials.as_exports({"A": "it's"}) == ["export A='it'\\''s'"]


def test_default_principal_names_this_user() -> None:
    assert credentials.default_principal().endswith("@local")
