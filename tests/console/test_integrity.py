"""What a database root does to the real store is found, and what retention does lawfully is not."""

import threading
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit

import pytest

from console import integrity
from console.control import find_place
from console.integrity import check_integrity
from console.store import Store as Reader
from console.verification import Outcome
from schemas.errors import ConfigError
from schemas.events import EventBatch, RetentionAction, RetentionVerb
from schemas.holds import LegalHold, parse_hold
from schemas.runtime import now_us
from sinks.transparency.leaf import EventLeaf, commit, parse_leaf
from sinks.transparency.log import LogReader
from sinks.transparency.merkle import check_inclusion, hash_leaf
from sinks.transparency.note import parse_checkpoint, parse_note
from sinks.transparency.orders import day_of
from sinks.transparency.place import log_directory
from sinks.transparency.storage import DirectoryStorage
from tests.console.committed import Committed
from tests.sinks.batches import DAY_US, START_US, make_batch
from tests.support.json_server import Asked, run_json_server

BATCHES = [make_batch(partition, offset, 6) for offset in range(3) for partition in range(2)]


def look(
    reader: Reader, committed: Committed, last_seen: bytes = b"", holds: dict[str, LegalHold] | None = None
) -> Any:
    place = find_place()
    return check_integrity(reader, place.settings, committed.home, last_seen, lambda: holds)


@pytest.mark.parametrize("data", [b"nonsense", b"\xff", b"a\nb\nc\n\n\xe2\x80\x94 name AAAAAAA=\n"])
def test_a_file_that_is_no_checkpoint_is_no_violation(committed: Committed, reader: Reader, data: bytes) -> None:
    with pytest.raises(ConfigError, match="the checkpoint seen last is none"):
        look(reader, committed, last_seen=data)


def test_a_whole_record_holds_and_each_attack_is_found(committed: Committed, reader: Reader) -> None:
    assert look(reader, committed).verdict.outcome is Outcome.UNPROVABLE
    committed.store(BATCHES)
    committed.commit(BATCHES)
    first = committed.publish()
    found = look(reader, committed)
    assert found.verdict.outcome is Outcome.HOLDS, found.verdict
    assert found.verdict.facts["present"] == 36 and found.ledger_faults == ()
    assert found.ledger is not None and found.ledger["events"] == 36

    # A row goes.
    committed.delete("partition = 0 AND offset = 1 AND position = 2")
    found = look(reader, committed)
    assert found.verdict.outcome is Outcome.VIOLATED and found.verdict.facts["MISSING"] == 1
    assert "event 9 " in found.verdict.findings[0] and "session s-0" in found.verdict.findings[0]

    # It comes back with another status, its committed bytes untouched.
    rows = committed.rows([make_batch(0, 1, 6)])
    chosen = {name: [column[2]] for name, column in rows.items()}
    committed.writer.insert("events", {**chosen, "status": [b"42501"]})
    found = look(reader, committed)
    assert found.verdict.facts["ALTERED"] == 1 and "columns status" in found.verdict.findings[0]

    # It comes back with bytes that fit its columns, but were never committed to.
    committed.delete("partition = 0 AND offset = 1 AND position = 2")
    forged = make_batch(0, 1, 6)
    forged.events[2].event.status = "42501"
    rows = committed.rows([forged])
    committed.writer.insert("events", {name: [column[2]] for name, column in rows.items()})
    found = look(reader, committed)
    assert found.verdict.facts["ALTERED"] == 1 and "does not open its commitment" in found.verdict.findings[0]

    # As it was, and once more.
    committed.delete("partition = 0 AND offset = 1 AND position = 2")
    committed.writer.insert("events", chosen)
    assert look(reader, committed).verdict.outcome is Outcome.HOLDS
    committed.writer.insert("events", chosen, "twice")
    found = look(reader, committed)
    assert found.verdict.outcome is Outcome.VIOLATED and any("twice" in item for item in found.verdict.findings)
    committed.delete("partition = 0 AND offset = 1 AND position = 2")
    committed.writer.insert("events", chosen, "thrice")

    # A row that no proxy ever sent.
    stranger = {**chosen, "position": [77]}
    committed.writer.insert("events", stranger)
    found = look(reader, committed)
    assert found.verdict.outcome is Outcome.VIOLATED and "1 rows without a leaf" in found.verdict.findings[0]
    committed.delete("position = 77")

    # The log goes on; a head from before is continued, one of another log is not.
    more = [make_batch(0, 3, 6)]
    committed.store(more)
    committed.commit(more)
    committed.publish()
    assert look(reader, committed, first).verdict.outcome is Outcome.HOLDS
    assert look(reader, committed, first.replace(b"\n42\n", b"\n41\n")).verdict.outcome is Outcome.VIOLATED


def test_heads_without_quorum_rollbacks_and_altered_logs(committed: Committed, reader: Reader) -> None:
    committed.store(BATCHES)
    committed.commit(BATCHES[:4])
    older = committed.publish()
    committed.commit(BATCHES[4:])
    newer = committed.publish()
    directory = committed.home.root / "transparency" / "log"
    (directory / "checkpoint").write_bytes(older)
    found = look(reader, committed, newer)
    assert found.verdict.outcome is Outcome.VIOLATED and "rolled back" in found.verdict.findings[0]
    (directory / "checkpoint").write_bytes(newer)
    bundle = directory / "tile/entries/000.p/42"
    data = bundle.read_bytes()
    bundle.write_bytes(data[:-1] + bytes((data[-1] ^ 1,)))
    found = look(reader, committed)
    assert found.verdict.outcome is Outcome.VIOLATED and "do not make the root" in found.verdict.findings[0]
    bundle.write_bytes(data)
    committed.publish(is_witnessed=False)
    found = look(reader, committed)
    assert found.verdict.outcome is Outcome.UNDECIDED and "quorum has not signed" in found.verdict.findings[0]


def test_what_a_witness_has_signed_is_waited_for_until_it_is_published(
    committed: Committed, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    committed.store(BATCHES)
    committed.commit(BATCHES[:4])
    older = committed.publish()
    committed.commit(BATCHES[4:])
    newer = committed.publish()
    published = committed.home.root / "transparency" / "log" / "checkpoint"
    origin = newer.partition(b"\n")[0]

    def sign(_asked: Asked) -> tuple[int, bytes]:
        threading.Timer(0.3, published.write_bytes, [newer]).start()
        return 200, newer

    with run_json_server() as witness:
        known = find_place().settings
        ports = known.ports.model_copy(update={"witness": urlsplit(witness.url).port})
        settings = known.model_copy(update={"ports": ports})
        question = f"GET /{sha256(origin).hexdigest()}/checkpoint"
        witness.answers[question] = sign
        published.write_bytes(older)
        assert check_integrity(reader, settings, committed.home).verdict.outcome is Outcome.HOLDS
        monkeypatch.setattr(integrity, "PUBLISHING_S", 0.3)
        witness.answers[question] = (200, newer)
        published.write_bytes(older)
        verdict = check_integrity(reader, settings, committed.home).verdict
    assert verdict.outcome is Outcome.VIOLATED
    assert "witness has signed" in verdict.findings[0] and "rolled back" in verdict.findings[0]


def order(batch: EventBatch, *, at: int, max_age_days: int = 30, verb: str = RetentionVerb.EXPIRE) -> RetentionAction:
    day = day_of(batch.events[0].event.at)
    evidence = {"max_age_days": str(max_age_days), "min_age_days": "0"} if verb == RetentionVerb.EXPIRE else {}
    return RetentionAction(f"standard/{day}", verb, "standard", day, at, "max age", evidence)


def test_expired_with_an_order_is_lawful_and_without_is_not(committed: Committed, reader: Reader) -> None:
    now = now_us()
    day = now // DAY_US * DAY_US
    days = [make_batch(0, offset, 4, at=day - (40 - offset) * DAY_US) for offset in range(3)]
    committed.store(days, skip=(0, 1, 2))
    committed.commit(days)
    committed.commit_action(order(days[0], at=now))
    committed.commit_action(order(days[0], at=now, verb=RetentionVerb.DONE))
    # One second before the day is old enough:
    due = day - 39 * DAY_US + 31 * DAY_US
    committed.commit_action(order(days[1], at=due - 1_000_000))
    committed.publish()
    found = look(reader, committed)
    assert found.verdict.outcome is Outcome.VIOLATED
    assert found.verdict.facts["expired"] == 4 and found.verdict.facts["MISSING"] == 8
    findings = "\n".join(found.verdict.findings)
    assert "given 1.000000 s before the day was 30 days old" in findings
    assert found.ledger_faults == ()  # the leaves are all there, so nothing was left out


def test_what_a_hold_keeps_is_held_and_nothing_of_it_may_go(committed: Committed, reader: Reader) -> None:
    now = now_us()
    old = [make_batch(partition, 0, 4, at=now - 40 * DAY_US) for partition in range(3)]
    placed = {
        "session": "s-0", "authority": "court", "reason": "case 7", "placed_by": "ann", "approved_by": "bob",
        "placed_at": now, "opening": "ab" * 16,
    }  # fmt: skip
    released = {"released_by": "ann", "release_approved_by": "cid", "release_reason": "over", "released_at": now}
    hold, over = parse_hold("h-1", placed), parse_hold("h-1", placed | released)
    committed.store(old, skip=(0, 1))
    committed.commit(old)
    committed.commit_hold("h-1", placed)
    committed.commit_action(order(old[0], at=now))
    committed.move_to_held(old[:1])
    committed.publish()
    found = look(reader, committed, holds={"h-1": hold})
    assert found.verdict.outcome is Outcome.HOLDS, found.verdict
    # Of the third session nothing has gone yet; the order is not answered.
    assert (found.verdict.facts["held"], found.verdict.facts["expired"], found.verdict.facts["present"]) == (4, 4, 4)

    # In the moment between copy and drop, held rows stand twice.
    committed.store(old[:1])
    found = look(reader, committed, holds={"h-1": hold})
    assert found.verdict.outcome is Outcome.HOLDS and found.verdict.facts["held"] == 4
    committed.delete("session_id = 's-0' AND retention_class = 'standard'")

    # Control is away, has lost the hold, or has another one.
    found = look(reader, committed)
    assert found.verdict.outcome is Outcome.UNDECIDED and found.verdict.facts["held"] == 4
    for changed in ({}, {"h-1": parse_hold("h-1", placed | {"session": "s-9"})}):
        found = look(reader, committed, holds=changed)
        assert found.verdict.outcome is Outcome.VIOLATED and "legal hold h-1 is not" in found.verdict.findings[0]

    # A held row goes, though a good order names its day.
    committed.delete("session_id = 's-0' AND position = 2")
    found = look(reader, committed, holds={"h-1": hold})
    assert found.verdict.outcome is Outcome.VIOLATED and found.verdict.facts["MISSING"] == 1
    assert "legal hold h-1 was in force" in found.verdict.findings[0]

    # Released before the order was done: then the hold is no barrier.
    committed.commit_hold("h-1", placed | released)
    committed.commit_action(order(old[0], at=now, verb=RetentionVerb.DONE))
    committed.publish()
    found = look(reader, committed, holds={"h-1": over})
    assert found.verdict.outcome is Outcome.HOLDS, found.verdict
    assert found.verdict.facts["past_their_order"] == 7  # no hold, and still there


@pytest.mark.parametrize("guesses", [5_000, pytest.param(1_000_000, marks=pytest.mark.soak)])
def test_what_was_erased_is_gone_with_its_cause_and_cannot_be_guessed(
    committed: Committed, reader: Reader, guesses: int
) -> None:
    now = now_us()
    batches = [make_batch(partition, 0, 4, at=now - 40 * DAY_US) for partition in range(2)]
    card = b"4012888888%06d"
    batches[0].events[1].event.statement = f"SELECT {(card % 881881).decode()}"
    committed.store(batches)
    committed.commit(batches)
    before = committed.publish()
    storage = DirectoryStorage(log_directory(committed.home))
    old = LogReader(storage, 10)
    proof = old.prove_inclusion(2)
    (entry,) = [entry for entry in old.bundle(0) if isinstance(leaf := parse_leaf(entry), EventLeaf) and leaf.seq == 2
                and leaf.session_id == "s-0"]  # fmt: skip
    evidence = {"session_id": "s-0", "by": "ann", "approved_by": "bob"}
    erase = RetentionAction("e-1", RetentionVerb.ERASE, "standard", "", now, "Art. 17", evidence)
    row = committed.rows(batches[:1])
    committed.commit_action(erase)
    committed.delete("session_id = 's-0'")
    committed.commit_action(RetentionAction("e-1", RetentionVerb.DONE, "standard", "", now, "", {}, 4))
    committed.publish()
    found = look(reader, committed, before)  # the old head is continued
    assert found.verdict.outcome is Outcome.HOLDS, found.verdict
    assert found.verdict.facts["erasing"] == 4 and found.verdict.facts["present"] == 4
    checkpoint = parse_checkpoint(parse_note(before).text)
    check_inclusion(proof, 2, hash_leaf(entry), checkpoint.size, checkpoint.root)

    # What is left is the leaf. Who knows the record but for six digits of the card cannot tell which they were.
    leaf = parse_leaf(entry)
    assert isinstance(leaf, EventLeaf)
    opening, canonical = row["opening"][1], row["canonical"][1]
    assert commit(opening, canonical) == leaf.commitment  # with the opening one guess is enough
    head, tail = canonical.split(card % 881881)
    start = 881881 - guesses // 2 if guesses < 1_000_000 else 0
    for digits in range(start, start + guesses):
        assert commit(b"", head + card % digits + tail) != leaf.commitment


def test_what_is_on_its_way_is_not_missing_yet(committed: Committed, reader: Reader) -> None:
    fresh = make_batch(0, 0, 4, at=now_us())
    committed.commit([fresh])
    committed.publish()
    found = look(reader, committed)
    assert found.verdict.outcome is Outcome.HOLDS and found.verdict.facts["on its way"] == 4
    old = make_batch(0, 1, 4, at=START_US)
    committed.commit([old])
    committed.publish()
    found = look(reader, committed)
    assert found.verdict.outcome is Outcome.VIOLATED and found.verdict.facts["MISSING"] == 4
