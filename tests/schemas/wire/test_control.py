"""Control: only signed entries count, replayed and foreign ones do not."""

import dataclasses
import threading

import pytest
from confluent_kafka import Producer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from schemas import topics
from schemas.config import find_settings
from schemas.errors import ForgedError, RecordError
from schemas.events import Control, ControlKind
from schemas.runtime import Home
from schemas.wire import framing, kafka
from schemas.wire.control import ControlState, ControlView, ControlWriter, sign_entry

API = Ed25519PrivateKey.generate()


def make_state() -> ControlState:
    return ControlState(API.public_key())


def entry(id: str = "db", payload: str = '{"a": 1}', writer: str = "api", key: Ed25519PrivateKey = API) -> Control:
    return sign_entry(ControlKind.RESOURCE, id, payload, writer, key)


def test_the_newest_signed_entry_is_the_truth() -> None:
    state = make_state()
    first, second = entry(), entry(payload='{"a": 2}')
    second.version = first.version + 1
    second = dataclasses.replace(second, signature=b"")
    with pytest.raises(ForgedError):
        state.apply(second)
    assert state.apply(first)
    assert state.get(ControlKind.RESOURCE, "db") == {"a": 1}
    assert state.apply(entry(payload=""))
    assert state.get(ControlKind.RESOURCE, "db") is None and state.all(ControlKind.RESOURCE) == {}


def test_a_replayed_entry_changes_nothing() -> None:
    state = make_state()
    old, new = entry(), entry(payload="")
    assert state.apply(old) and state.apply(new)
    assert not state.apply(old)
    assert state.get(ControlKind.RESOURCE, "db") is None


@pytest.mark.parametrize("change", [{"id": "other"}, {"payload": "{}"}, {"kind": "credential"}, {"version": 2**60}])
def test_a_changed_entry_is_forged(change: dict[str, object]) -> None:
    with pytest.raises(ForgedError):
        make_state().apply(dataclasses.replace(entry(), **change))  # type: ignore[arg-type]


def test_a_writer_writes_the_kinds_it_was_granted_and_no_others() -> None:
    state, detect = make_state(), Ed25519PrivateKey.generate()
    with pytest.raises(ForgedError, match="may not write"):
        state.apply(sign_entry(ControlKind.QUARANTINE, "x", "{}", "detect", detect))
    public = detect.public_key().public_bytes_raw().hex()
    grant = f'{{"public": "{public}", "kinds": ["quarantine"]}}'
    assert state.apply(sign_entry(ControlKind.WRITER_KEY, "detect", grant, "api", API))
    assert state.apply(sign_entry(ControlKind.QUARANTINE, "x", "{}", "detect", detect))
    with pytest.raises(ForgedError):
        state.apply(sign_entry(ControlKind.RESOURCE, "x", "{}", "detect", detect))


def test_signed_nonsense_is_a_record_error() -> None:
    with pytest.raises(RecordError):
        make_state().apply(entry(payload="{"))


def test_a_view_follows_the_writer_and_ignores_forgeries(home: Home) -> None:
    settings = find_settings(home)
    seen: list[tuple[ControlKind, str]] = []
    changed = threading.Event()

    def on_change(kind: ControlKind, id: str) -> None:
        seen.append((kind, id))
        changed.set()

    view = ControlView(settings, home, "proxy", on_change)
    view.start()
    writer = ControlWriter(settings, home)
    producer = Producer(kafka.producer_config(settings, home, "api"))
    for forged in (b"", b"noise", framing.encode(entry("forged"))):
        producer.produce(topics.CONTROL, forged, b"k", partition=0)
    producer.flush(10)
    writer.put(ControlKind.RESOURCE, "view-test", {"a": 1})
    assert view.refresh()
    assert view.get(ControlKind.RESOURCE, "view-test") == {"a": 1}
    assert view.get(ControlKind.RESOURCE, "forged") is None
    assert changed.wait(5) and (ControlKind.RESOURCE, "view-test") in seen
    writer.put(ControlKind.RESOURCE, "view-test", None)
    assert view.refresh()
    assert view.get(ControlKind.RESOURCE, "view-test") is None
    view.close()
