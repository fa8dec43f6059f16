import os

from schemas.oauth_metadata import api_url, is_own_host
from schemas.runtime import Home, RunState, announce_ready, now_us, write_run_state


def test_our_own_hosts_are_loopback_and_what_is_set() -> None:
    assert all(is_own_host(host, "") for host in ("127.0.0.1", "localhost", "::1"))
    assert is_own_host("Custody.Example", "custody.example")
    assert not any(is_own_host(host, "custody.example") for host in ("evil.example", "", "custody.example.evil"))
    assert not is_own_host("", "")


def test_the_api_is_where_it_is_said_to_be_or_listens(tmp_path) -> None:
    home = Home(tmp_path)
    assert api_url(home, "https://custody.example/", 1, is_tls=False) == "https://custody.example"
    assert api_url(home, "", 18170, is_tls=True) == "https://127.0.0.1:18170"
    write_run_state(home, RunState("api", os.getpid(), started_at=now_us()))
    announce_ready(home, "api", {"http": 4711})
    assert api_url(home, "", 18170, is_tls=False) == "http://127.0.0.1:4711"
