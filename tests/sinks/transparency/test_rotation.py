"""A new key for the log: killed at every step there is one chain, and readers of the first key follow it."""

import contextlib
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from schemas.config import Settings
from schemas.errors import ConfigError
from schemas.runtime import Home
from sinks.transparency import rotation as module
from sinks.transparency.leaf import KeyLeaf, encode_key, parse_leaf
from sinks.transparency.log import Log, LogReader
from sinks.transparency.note import Verifier, find_signature
from sinks.transparency.place import find_log, find_origin
from sinks.transparency.publisher import Publisher
from sinks.transparency.quorum import NONE, Policy
from sinks.transparency.reading import iterate_bundles, read_head
from sinks.transparency.rotation import (
    Rotation,
    check_chain,
    extend_policy,
    list_keys,
    prepare_key,
    settle_rotation,
    start_rotation,
)
from sinks.transparency.signing import make_signer
from sinks.transparency.storage import DirectoryStorage
from tests.sinks.transparency.logs import append, entries


class Sequencer:
    """One process that writes the log, as far as rotation is concerned."""

    def __init__(self, home: Home, directory: Path) -> None:
        settle_rotation(home)
        self.home, self.storage = home, DirectoryStorage(directory / "log")
        self.log = Log(self.storage, directory / "state", find_origin(Settings(), home))
        self.log.open()
        policy = Policy((), {}, {}, NONE)
        self.publisher = Publisher(self.log, self.storage, make_signer(Settings(), home), policy, interval_s=0.0)
        self.is_rotating = False
        self.rotation = Rotation(home, self.log, self.storage, self.publisher)

    def turn(self) -> None:
        self.publisher.work()
        self.rotation._look_at = 0.0
        self.is_rotating = True
        self.rotation.work()
        self.is_rotating = False

    def turn_until(self, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + 30
        while not condition():
            assert time.monotonic() < deadline
            self.turn()
            time.sleep(0.002)
        self.publisher.flush()

    def close(self) -> None:
        self.publisher.close()
        self.log.close()


@pytest.fixture
def origin(bare_home: Home) -> str:
    """Written down, as the sink does at its first start."""
    name = find_origin(Settings(), bare_home)
    (bare_home.public / "log.origin").write_text(name)
    return name


def is_over(home: Home) -> bool:
    return not (home.public / "log.next.pub").exists()


def check(directory: Path, keys: tuple[Verifier, ...]) -> list[str]:
    """Faults that a reader finds who knows these keys."""
    storage = DirectoryStorage(directory / "log")
    policy = extend_policy(storage, Policy(keys, {}, {}, NONE))
    head = read_head(storage, policy)
    reader = LogReader(storage, head.checkpoint.size)
    found: list[tuple[int, KeyLeaf]] = []
    for first, items in iterate_bundles(reader):
        for index, item in enumerate(items, first):
            if item[:2] == encode_key("")[:2]:
                leaf = parse_leaf(item)
                assert isinstance(leaf, KeyLeaf)
                found.append((index, leaf))
    faults: list[str] = []
    check_chain(storage, reader, head, policy, found, faults.append)
    return faults


def kill_in(patch: pytest.MonkeyPatch, sequencer: Sequencer, kill_at: int) -> None:
    """The process dies before its file operation number `kill_at` in a rotation."""
    steps = 0

    def step(act: Callable[..., object]) -> Callable[..., object]:
        def counted(*args: object, **options: object) -> object:
            nonlocal steps
            steps += sequencer.is_rotating
            if sequencer.is_rotating and steps == kill_at:
                raise KeyboardInterrupt
            return act(*args, **options)

        return counted

    patch.setattr(module, "write_private", step(module.write_private))
    patch.setattr(Path, "replace", step(Path.replace))
    patch.setattr(Path, "unlink", step(Path.unlink))


def test_each_key_hands_over_to_the_next(bare_home: Home, origin: str, tmp_path: Path) -> None:
    keys = list_keys(bare_home, origin)
    sequencer = Sequencer(bare_home, tmp_path)
    append(sequencer.log, entries(0, 5))
    sequencer.publisher.flush()
    old_secret = bare_home.read_key("log.key")
    for _ in range(2):
        following = prepare_key(bare_home, origin)
        assert start_rotation(bare_home, origin) == following
        with pytest.raises(ConfigError, match="under way"):
            start_rotation(bare_home, origin)
        sequencer.turn_until(lambda: is_over(bare_home))
        keys.append(following)
        append(sequencer.log, entries(sequencer.log.size, sequencer.log.size + 300))
        sequencer.publisher.flush()
        head = read_head(sequencer.storage, Policy((following,), {}, {}, NONE))
        assert find_signature(head.note, following) is not None
    sequencer.close()
    assert list_keys(bare_home, origin) == keys and find_log(Settings(), bare_home).verifier == keys[-1]
    assert all(old_secret not in path.read_bytes() for path in bare_home.secrets.rglob("*.key"))
    # Whoever knows the first key, a later one, or all of them.
    assert check(tmp_path, (keys[0],)) == check(tmp_path, (keys[2],)) == check(tmp_path, tuple(keys)) == []


def test_killed_at_every_step_there_is_one_chain(
    bare_home: Home, origin: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = list_keys(bare_home, origin)
    for kill_at in range(1, 9):
        following = start_rotation(bare_home, origin)
        sequencer = Sequencer(bare_home, tmp_path)
        sequencer.publisher.flush()
        with monkeypatch.context() as patch:
            kill_in(patch, sequencer, kill_at)
            with contextlib.suppress(KeyboardInterrupt):
                sequencer.turn_until(lambda: is_over(bare_home))
        sequencer.is_rotating = False
        sequencer.close()
        sequencer = Sequencer(bare_home, tmp_path)
        sequencer.turn_until(lambda: is_over(bare_home))
        sequencer.close()
        keys.append(following)
        assert list_keys(bare_home, origin) == keys
        assert check(tmp_path, (keys[0],)) == [], kill_at
    count = sum(
        item[:2] == encode_key("")[:2]
        for _, items in iterate_bundles(LogReader(sequencer.storage, sequencer.log.size))
        for item in items
    )
    assert count == 8  # one leaf a rotation, however often it was begun


def test_a_broken_chain_is_found(bare_home: Home, origin: str, tmp_path: Path) -> None:
    (first,) = list_keys(bare_home, origin)
    sequencer = Sequencer(bare_home, tmp_path)
    old_signer = make_signer(Settings(), bare_home)
    append(sequencer.log, entries(0, 5))
    sequencer.publisher.flush()
    second = start_rotation(bare_home, origin)
    sequencer.turn_until(lambda: is_over(bare_home))
    handover = tmp_path / "log/keys/5"
    kept = handover.read_bytes()
    # The handover is gone, is of another head, is not by the old key.
    handover.unlink()
    assert "is gone" in check(tmp_path, (first,))[0]
    handover.write_bytes((tmp_path / "log/checkpoint").read_bytes())
    assert "did not hand over" in check(tmp_path, (first,))[0]
    handover.write_bytes(kept)
    # The old key, stolen before it was deleted, signs a later head.
    sequencer.publisher.use_signer(old_signer)
    append(sequencer.log, entries(6, 9))
    sequencer.publisher.flush()
    sequencer.close()
    for known in ((first,), (second,), (first, second)):
        assert "should sign it" in check(tmp_path, (first, second))[0], known
