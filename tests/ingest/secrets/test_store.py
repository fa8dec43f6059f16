"""When a secret is asked for, kept, asked for again, and what happens when its place is away."""

import asyncio
import threading

import pytest

from ingest.secrets.base import Secret
from ingest.secrets.store import BETWEEN_S, LOCAL_S, SecretStore, make_sources
from schemas.config import Settings, parse_settings
from schemas.errors import ConfigError, Unreachable
from schemas.runtime import Home, write_private
from schemas.secret_references import Reference
from schemas.secrets_config import Secrets

KV, DB, FILE = "vault:kv/app/db#password", "vault-db:database/readonly", "file:db.password"


class Place:
    """A place whose secret can change, go away and be refused."""

    def __init__(self) -> None:
        self.secret, self.fetches, self.failure = Secret("one"), 0, None
        self.gate: threading.Event | None = None

    def fetch(self, reference: Reference) -> Secret:
        self.fetches += 1
        if self.gate is not None:
            self.gate.wait(10)
        if self.failure is not None:
            raise self.failure
        return self.secret


class Bench:
    """A store over one place, and a clock."""

    def __init__(self) -> None:
        self.place, self.now = Place(), 100.0
        make = lambda: self.place  # noqa: E731
        self.store = SecretStore(
            Secrets(cache_s=30, stale_s=600), dict.fromkeys(("vault", "vault-db", "file"), make), lambda: self.now
        )

    async def value(self, reference: str = KV) -> str:
        return (await self.store.get(reference)).value


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_a_secret_is_kept_for_a_while_and_then_asked_for_again(bench: Bench) -> None:
    assert bench.store.fresh(KV) is None
    for _ in range(10):
        assert await bench.value() == "one"
    assert bench.place.fetches == 1 and bench.store.fresh(KV) is not None
    bench.place.secret = Secret("two")
    bench.now += 29
    assert await bench.value() == "one"
    bench.now += 2
    assert bench.store.fresh(KV) is None and await bench.value() == "two"


async def test_what_is_on_this_host_is_read_anew_soon(bench: Bench) -> None:
    await bench.value(FILE)
    bench.place.secret = Secret("two")
    bench.now += LOCAL_S
    assert await bench.value(FILE) == "two"


async def test_a_secret_that_an_upstream_refuses_is_asked_for_again_but_not_in_a_storm(bench: Bench) -> None:
    await bench.value()
    assert not bench.store.refused(KV)  # just read: it is the secret that is wrong, not its age
    bench.now += BETWEEN_S
    bench.place.secret = Secret("two")
    assert bench.store.refused(KV)
    assert not bench.store.refused(KV)
    assert await bench.value() == "two"
    for _ in range(100):
        assert not bench.store.refused(KV)
    assert bench.place.fetches == 2


async def test_when_its_place_is_away_the_last_one_serves_for_a_time(bench: Bench) -> None:
    await bench.value()
    bench.place.failure = Unreachable("away")
    bench.now += 629
    assert await bench.value() == "one"
    bench.now += 2
    with pytest.raises(Unreachable):
        await bench.value()


async def test_a_secret_that_is_gone_does_not_serve_on(bench: Bench) -> None:
    await bench.value()
    bench.place.failure = ConfigError("no such secret")
    bench.now += 31
    with pytest.raises(ConfigError):
        await bench.value()


async def test_a_login_with_a_life_is_made_anew_before_it_ends_and_never_used_after(bench: Bench) -> None:
    bench.place.secret = Secret("made-1", "v-1", ttl_s=100)
    assert (await bench.store.get(DB)).user == "v-1"
    bench.now += 69
    assert await bench.value(DB) == "made-1" and bench.place.fetches == 1
    bench.now += 2
    bench.place.failure = Unreachable("away")
    assert await bench.value(DB) == "made-1"
    bench.now += 30
    with pytest.raises(Unreachable):
        await bench.value(DB)


async def test_many_who_wait_ask_once(bench: Bench) -> None:
    bench.place.gate = threading.Event()
    waiting = [asyncio.create_task(bench.value()) for _ in range(50)]
    await asyncio.sleep(0.05)
    waiting[0].cancel()  # one that gives up takes nothing from the others
    bench.place.gate.set()
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert results[1:] == ["one"] * 49 and isinstance(results[0], asyncio.CancelledError)
    assert bench.place.fetches == 1


async def test_a_failure_is_told_to_all_who_wait_and_the_next_asks_again(bench: Bench) -> None:
    bench.place.failure = Unreachable("away")
    results = await asyncio.gather(*(bench.value() for _ in range(5)), return_exceptions=True)
    assert all(isinstance(result, Unreachable) for result in results)
    bench.place.failure = None
    assert await bench.value() == "one"


async def test_the_log_names_the_place_and_no_field_or_secret(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    await bench.value()
    bench.place.failure = Unreachable("away")
    bench.now += 31
    await bench.value()
    assert "vault:kv/app/db: away" in caplog.text and "one" not in caplog.text.split("serves on")[0].split("away")[0]


async def test_each_kind_has_its_source(bare_home: Home) -> None:
    write_private(bare_home.secrets / "db.password", b"from-file")
    store = SecretStore(Settings().secrets, make_sources(Settings(), bare_home))
    assert (await store.get("file:db.password")).value == "from-file"
    with pytest.raises(ConfigError, match=r"secrets\.vault\.url"):
        await store.get(KV)
    settings = parse_settings("secrets: {vault: {url: 'http://127.0.0.1:1'}}")
    makers = make_sources(settings, bare_home)
    assert makers["vault"] is makers["vault-db"]  # one login for both
    for kind in ("vault", "aws", "gcp", "k8s"):
        assert makers[kind]()
