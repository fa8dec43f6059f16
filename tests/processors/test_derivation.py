"""The one derived batch of a raw record."""

from collections.abc import Sequence

import pytest

from masking.engine import Masker
from masking.free_text import make_masker
from masking.free_text_finder import Found
from masking.tokens import TokenKey
from processors import derivation
from processors.admission import Opened, Refused
from processors.derivation import dead_letter, derive, derive_gap
from processors.heads import read_head
from processors.mask import MaskState
from processors.pieces import Lexicon
from processors.redaction import Redactor
from schemas.errors import RecordError
from schemas.events import DeadLetter, EventBatch, Origin, SealedHeader, SessionEvent
from schemas.wire import framing
from tests.processors.pipeline import CARD, gap_reasons, make_event
from tests.processors.test_admission import admit, batch, seal
from tests.support.compiled import COMPILED

REDACTOR = Redactor(Masker(tokens=TokenKey(b"k" * 32), kept=COMPILED, rule_version="rules-1"))
ORIGIN = Origin("log", 1, 12)


def opened(*statements: str) -> Opened:
    events = [SessionEvent(0, make_event(n, statement=text)) for n, text in enumerate(statements, 1)]
    return admit(seal(batch(events=events)))


def derived(source: Opened, notes: list[dict[str, str]] | None = None) -> EventBatch:
    made = framing.decode(derive(source, ORIGIN, REDACTOR, Lexicon(), list(notes or []), 77).value)
    assert isinstance(made, EventBatch)
    return made


def test_untouched_events_go_on_as_they_are() -> None:
    source = opened("select 1", "select 2")
    made = derived(source)
    assert (made.origin, made.rule_version) == (ORIGIN, "rules-1")
    assert (made.proxy_id, made.batch_seq) == ("proxy", 0)
    assert [vars(item.event) for item in made.events] == [item["event"] for item in source.read()["events"]]


def test_both_ways_of_encoding_agree() -> None:
    source = opened("select 1", "select 2")
    spliced = derive(source, ORIGIN, REDACTOR, Lexicon(), [], 1)
    whole = derive(Opened(source.header, source.plain, None), ORIGIN, REDACTOR, Lexicon(), [], 1)
    assert framing.decode(spliced.value) == framing.decode(whole.value)
    assert (spliced.slices, spliced.facts) == (whole.slices, whole.facts)


def test_a_masked_event_and_a_note() -> None:
    made = derived(opened("select 1", f"select {CARD}"), [{"reason": "missing_batches", "detail": "1 to 4"}])
    assert CARD not in made.events[1].event.statement
    assert gap_reasons(made) == ["missing_batches"]
    gap = made.events[2]
    assert made.sessions[gap.session].agent == "custody-mask"
    assert (gap.event.seq, gap.event.at, len(gap.event.opening)) == (1, 77, 16)


class Names:
    """A finder that knows one name."""

    version = "names-1"

    def find(self, text: str) -> Sequence[Found]:
        start = text.find("Ada Lovelace")
        return [(start, start + 12, "person")] if start >= 0 else []


def test_free_text_is_masked_in_a_batch_and_the_batch_says_by_what() -> None:
    redactor = Redactor(make_masker(Names(), tokens=TokenKey(b"k" * 32), kept=COMPILED))
    source = opened("select 1", "-- for Ada Lovelace", f"-- {CARD} of Ada Lovelace")
    made = framing.decode(derive(source, ORIGIN, redactor, Lexicon(), [], 77).value)
    assert isinstance(made, EventBatch) and made.rule_version.endswith(";free_text=names-1")
    assert [[item.label for item in each.event.masked] for each in made.events] == [
        [], ["person"], ["payment_card", "person"],
    ]  # fmt: skip
    assert "Ada" not in "".join(each.event.statement for each in made.events)


def test_what_does_not_fit_a_record_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(derivation, "MAX_DERIVED_BYTES", 100)
    with pytest.raises(Refused, match="bytes") as refused:
        derived(opened("select 1"))
    assert refused.value.reason == "too_large"


HEADER = SealedHeader("proxy " + CARD, "e" * 500, 1, 4, 1, "k", b"", Origin("log", 0, 3))


def test_a_gap_holds_masked_claims_and_counts_only_what_is_proven() -> None:
    forged = framing.decode(derive_gap(Refused("forged", "why", HEADER), ORIGIN, REDACTOR, [], 1))
    assert isinstance(forged, EventBatch) and (forged.proxy_epoch, forged.batch_seq) == ("", -1)
    attributes = forged.events[0].event.attributes
    assert CARD not in str(attributes) and len(attributes["claimed.proxy_epoch"]) == 120
    assert attributes["claimed.redrives"] == "0/3"
    duplicate = framing.decode(derive_gap(Refused("duplicate", "why", HEADER), ORIGIN, REDACTOR, [], 1))
    assert isinstance(duplicate, EventBatch) and duplicate.batch_seq == 4
    unknown = framing.decode(derive_gap(Refused("undecodable", "why"), ORIGIN, REDACTOR, [{"reason": "x"}], 1))
    assert isinstance(unknown, EventBatch) and gap_reasons(unknown) == ["undecodable", "x"]


def test_a_dead_letter_keeps_the_sealed_bytes_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    letter = framing.decode(dead_letter(Refused("forged", "why", HEADER), ORIGIN, b"sealed", 5))
    assert letter == DeadLetter(ORIGIN, "mask", "forged: why", b"sealed", 5)
    monkeypatch.setattr(derivation, "MAX_DERIVED_BYTES", 5)
    large = framing.decode(dead_letter(Refused("forged", "why"), ORIGIN, b"sealed", 5))
    assert isinstance(large, DeadLetter) and large.record == b"" and "too large" in large.reason


def test_a_dead_letter_keeps_nothing_that_may_be_plaintext() -> None:
    batch_in_the_clear = framing.encode(EventBatch("p", "e", 1, sessions=[], events=[]))
    for record in (CARD.encode(), b"", batch_in_the_clear):
        letter = framing.decode(dead_letter(Refused("undecodable", "why"), ORIGIN, record, 5))
        assert isinstance(letter, DeadLetter) and letter.record == b""
        assert letter.reason == f"undecodable: why ({len(record)} bytes that nobody sealed are not kept)"
    later = b"\xc3\x01 of a later version"
    letter = framing.decode(dead_letter(Refused("undecodable", "why"), ORIGIN, later, 5))
    assert isinstance(letter, DeadLetter) and letter.record == later


def test_reading_back_counts_the_first_occurrence_of_the_next_origin() -> None:
    state = MaskState()
    heads = []
    for offset, seq in ((5, 0), (6, 1), (5, 0), (6, 1), (7, 2), (9, 4)):
        source = admit(seal(batch(seq), seq))
        record = derive(source, Origin("log", 1, offset), REDACTOR, Lexicon(), [], 1)
        heads.append(state.accept(read_head(record.value)))
    assert heads == [True, True, False, False, True, False]
    assert (state.log_id, state.offset) == ("log", 7)
    assert state.ledger.expected(source.header.proxy_epoch) == 3
    with pytest.raises(RecordError):
        read_head(framing.encode(DeadLetter(ORIGIN, "s", "r", b"", 1)))
    with pytest.raises(RecordError):
        read_head(framing.prefix_of("EventBatch") + b"\x02")
