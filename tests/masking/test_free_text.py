"""Free text beside the detectors: with a finder that knows a few names, as a model knows many."""

import re
from collections.abc import Sequence

import pytest
from pydantic import ValidationError

from masking.catalog import rule_version
from masking.engine import Masker
from masking.free_text import FreeTextMasker, load_finder, make_masker, pieces_of, stream_version
from masking.free_text_finder import MAX_PIECE_CHARS, Found
from masking.stream import StreamMasker
from masking.structured import mask_json, mask_rows
from schemas.config import Masking, parse_settings
from schemas.errors import ConfigError
from tests.masking.helpers import KEY, masker
from tests.support.compiled import COMPILED


class Gazetteer:
    """A finder by lists: persons by first name and surname, and places."""

    version = "gazetteer-1"
    _KNOWN = (
        (re.compile(r"\b(?:Ada|Zoë|Grace) [A-Z]\w+"), "person"),
        (re.compile(r"\b\d+ [A-Z]\w+ Street\b|\bZürich\b"), "location"),
    )

    def __init__(self) -> None:
        self.asked: list[str] = []

    def find(self, text: str) -> Sequence[Found]:
        self.asked.append(text)
        return [(*match.span(), label) for known, label in self._KNOWN for match in known.finditer(text)]


GAZETTEER = Gazetteer()
BOTH = make_masker(GAZETTEER, tokens=KEY, kept=COMPILED)


def labels(findings) -> list[str]:  # type: ignore[no-untyped-def]
    return [finding.label for finding in findings]


def test_names_and_places_become_tokens_where_they_stand() -> None:
    text = "Héllo, Zoë Miller lives at 12 Rose Street in Zürich."
    masked = BOTH.mask_text(text)
    assert labels(masked.findings) == ["person", "location", "location"]
    assert [text[f.start : f.end] for f in masked.findings] == ["Zoë Miller", "12 Rose Street", "Zürich"]
    assert masked.text.startswith("Héllo, ‹person:") and masked.text.endswith("›.")
    assert BOTH.mask_text(masked.text).text == masked.text


def test_what_detectors_found_stays_theirs() -> None:
    masked = BOTH.mask_text('mail "Ada Lovelace@example.com" or password=Grace Hopper1906')
    assert "password" in labels(masked.findings) and "email" in labels(masked.findings)
    plain = masker().mask_text("card 4111 1111 1111 1111 of Ada Lovelace")
    both = BOTH.mask_text("card 4111 1111 1111 1111 of Ada Lovelace")
    assert both.findings[0] == plain.findings[0] and labels(both.findings) == ["payment_card", "person"]


def test_every_way_into_the_masker_looks_into_prose() -> None:
    text = "dear Ada Lovelace"
    assert BOTH.mask_bytes(text.encode()).data.startswith("dear ‹person:".encode())
    assert labels(BOTH.mask_named("password", "of Ada Lovelace").findings)[:1] == ["password"]
    assert labels(BOTH.mask_named("note", text).findings) == ["person"]
    assert labels(BOTH.mask_parts("pin 12345 Ada Lovelace", [(4, 9)], "pin").findings) == ["pin", "person"]
    assert [m is not None for m in BOTH.mask_batch([text, "nothing", "Ada Lovelace"])] == [True, False, True]
    assert BOTH.find_candidates([b"select 1", text.encode(), b"4111111111111111"]) == [1, 2]
    rows, found = mask_rows(BOTH, ["customer", "city"], [["Ada Lovelace", None], ["x", "Zürich"]])
    assert labels(found) == ["person", "location"] and rows[0][1] is None
    document = mask_json(BOTH, b'{"note": "ask Grace Hopper", "n": 1}')
    assert document.data.startswith('{"note": "ask ‹person:'.encode()) and document.data.endswith(b'", "n": 1}')
    stream = StreamMasker(BOTH)
    shown = stream.feed(b"for Ada Love") + stream.feed(b"lace") + stream.finish()
    assert shown.startswith("for ‹person:".encode()) and shown.endswith("›".encode())


class Greedy:
    """A finder that takes too much, beyond the text even."""

    version = "greedy-1"

    def find(self, text: str) -> Sequence[Found]:
        return [(-3, len(text) + 3, "person")] if "Ada" in text else [(0, 1, "person"), (5, 2, "person")]


def test_quotes_around_a_name_belong_to_the_text() -> None:
    greedy = make_masker(Greedy(), tokens=KEY, kept=COMPILED)
    (finding,) = greedy.mask_text(" 'Ada Lovelace', ").findings
    assert (finding.start, finding.end) == (2, 14)
    assert greedy.mask_text("'Bob").text == "'Bob"


def test_a_name_has_one_token_in_any_case() -> None:
    assert len({BOTH.mask_text(name).findings[0].token for name in ("Ada Lovelace", "Ada LOVELACE")}) == 1


def test_text_without_anything_like_a_name_is_not_asked_about() -> None:
    GAZETTEER.asked.clear()
    BOTH.mask_batch(["SELECT * FROM orders WHERE id = 4", "status ok", "{}"])
    assert GAZETTEER.asked == []


def test_a_long_text_is_asked_about_in_pieces_and_offsets_hold() -> None:
    text = "ü lorem ipsum " * 2000 + "Ada Lovelace" + " dolor" * 2000
    GAZETTEER.asked.clear()
    (finding,) = BOTH.mask_text(text).findings
    assert text[finding.start : finding.end] == "Ada Lovelace"
    assert max(map(len, GAZETTEER.asked)) <= MAX_PIECE_CHARS and "".join(GAZETTEER.asked) == text


@pytest.mark.parametrize("text", ["", "a", "a b " * 6000, "x" * 25_000, "x\n" * 12_000])
def test_pieces_are_the_text(text: str) -> None:
    pieces = list(pieces_of(text))
    assert "".join(pieces) == text and all(0 < len(piece) <= MAX_PIECE_CHARS for piece in pieces)


def test_the_rule_version_says_whether_and_by_what() -> None:
    assert stream_version(None) == f"{rule_version()};free_text=off"
    assert BOTH.rule_version == f"{rule_version()};free_text=gazetteer-1"
    off = make_masker(None, tokens=KEY, kept=COMPILED)
    assert type(off) is Masker and off.rule_version == stream_version(None)
    assert isinstance(BOTH, FreeTextMasker)


def test_settings_choose_the_finder_and_yaml_may_say_off() -> None:
    assert load_finder(Masking()) is None
    assert load_finder(parse_settings("masking: {free_text: off}").masking) is None
    with pytest.raises(ValidationError):
        Masking.model_validate({"free_text": "guess"})
    with pytest.raises(ConfigError, match="pip install presidio-analyzer spacy"):
        load_finder(Masking(free_text="presidio"))
