import pytest

from console.remote import ApiRefused, Login, Remote, default_url, read_login, remove_login, write_login
from schemas.config import Settings
from schemas.errors import ConfigError, Unreachable
from schemas.runtime import Home
from tests.support.api import Api

KNOWN = Login("http://127.0.0.1:1", "cst_secret-token", "ann@example.com", 17)


def test_a_login_is_kept_privately_and_forgotten(bare_home: Home) -> None:
    assert read_login(bare_home) is None
    write_login(bare_home, KNOWN)
    assert (bare_home.root / "login.json").stat().st_mode & 0o777 == 0o600
    assert read_login(bare_home) == KNOWN and "secret-token" not in repr(KNOWN)
    remove_login(bare_home)
    remove_login(bare_home)
    assert read_login(bare_home) is None


def test_a_file_others_may_read_or_that_is_broken_is_not_used(bare_home: Home) -> None:
    write_login(bare_home, KNOWN)
    (bare_home.root / "login.json").chmod(0o640)
    with pytest.raises(ConfigError, match="0600"):
        read_login(bare_home)
    (bare_home.root / "login.json").chmod(0o600)
    for text in ("", "[]", "{}", '{"api": 1}'):
        (bare_home.root / "login.json").write_text(text)
        with pytest.raises(ConfigError, match="cannot be read"):
            read_login(bare_home)


@pytest.mark.parametrize(
    "url", ["http://api.example", "ftp://127.0.0.1", "127.0.0.1:18170", "http://[", "", "https://"]
)
def test_a_token_leaves_this_host_over_tls_only(url: str) -> None:
    with pytest.raises(ConfigError):
        Remote(url, "cst_secret").ask("GET", "/v1/whoami")


def test_the_apis_words_are_told(api: Api) -> None:
    remote = Remote(api.url, api.home.read_secret("api/auditor.password"))
    assert remote.ask("GET", "/v1/whoami")["roles"] == ["auditor"]
    with pytest.raises(ApiRefused, match=r"needs the permission resource\.write") as caught:
        remote.ask("DELETE", "/v1/resources/x")
    assert caught.value.status == 403
    with pytest.raises(ApiRefused, match="sql"):
        remote.ask("POST", "/v1/query", {"sql": ""})


def test_an_api_that_is_away_is_said(bare_home: Home) -> None:
    with pytest.raises(Unreachable, match="does not answer"):
        Remote("http://127.0.0.1:1").ask("GET", "/v1/whoami")
    assert default_url(bare_home, Settings()) == "http://127.0.0.1:18170"
