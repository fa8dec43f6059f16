import base64
import time
import urllib.parse

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from masking.engine import Masker
from masking.model import MaskedText, summarize
from masking.names import label_of
from masking.tokens import TokenKey
from tests.masking.helpers import masker
from tests.support.compiled import COMPILED

CARD = "4111 1111 1111 1111"
SECRETS = [CARD, "bob@example.com", "536-22-1234", "GB82WEST12345698765432", "password=hunter2hunter2"]


def test_a_text_without_a_hit_comes_back_itself():
    text = "SELECT 1"
    assert masker().mask_text(text).text is text


def test_value_becomes_label_and_token_and_the_finding_says_where():
    masked = masker().mask_text(f"café {CARD}", "statement")
    (finding,) = masked.findings
    assert masked.text == f"café ‹payment_card:{finding.token}›"
    assert (finding.label, finding.start, finding.end, finding.place) == ("payment_card", 5, 24, "statement")
    assert CARD not in repr(masked)


def test_one_value_has_one_token_however_it_is_written():
    texts = [CARD, CARD.replace(" ", ""), CARD.replace(" ", "-"), urllib.parse.quote(CARD)]
    assert len({masker().mask_text(text).findings[0].token for text in texts}) == 1
    assert masker().mask_named("card_number", CARD).findings[0].token == masker().mask_text(CARD).findings[0].token


def test_another_key_gives_another_token():
    other = Masker(tokens=TokenKey(b"x" * 32), kept=COMPILED)
    assert other.mask_text(CARD).text != masker().mask_text(CARD).text


ENCODINGS = {
    "base64": lambda s: base64.b64encode(s.encode()).decode(),
    "base64 in a document": lambda s: base64.b64encode(f'{{"note":"a longer text","v":"{s}"}}'.encode()).decode(),
    "base64 unpadded, url-safe": lambda s: base64.urlsafe_b64encode(s.encode()).decode().rstrip("="),
    "base64 twice": lambda s: base64.b64encode(base64.b64encode(s.encode())).decode(),
    "base64 of utf-16": lambda s: base64.b64encode(s.encode("utf-16-le")).decode(),
    "base64 in lines": lambda s: base64.encodebytes(f"{'some text ' * 12}{s}{' more text' * 9}".encode()).decode(),
    "hex": lambda s: s.encode().hex(),
    "bytea": lambda s: "\\x" + s.encode().hex(),
    "url": lambda s: urllib.parse.quote(s, safe=""),
    "url, every byte": lambda s: "".join(f"%{b:02X}" for b in s.encode()),
    "url twice": lambda s: urllib.parse.quote(urllib.parse.quote(s, safe=""), safe=""),
    "utf-16-le": lambda s: s.encode("utf-16-le").decode(),
    "utf-16-be": lambda s: s.encode("utf-16-be").decode(),
    "json escapes": lambda s: "".join(f"\\u{ord(c):04x}" for c in s),
    "zero-width joiners": lambda s: "\u200d".join(s),
    "full-width": lambda s: "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in s),
}


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_secret_is_masked_in_every_encoding(secret, encoding):
    text = f"value ({ENCODINGS[encoding](secret)}) end"
    masked = masker().mask_text(text)
    assert masked.findings
    for form in ("base64", "hex", "url", "utf-16-le", "utf-16-be", "json escapes"):
        assert ENCODINGS[form](secret) not in masked.text
    assert secret not in masked.text
    assert masker().mask_text(masked.text).text == masked.text


def test_the_rest_of_an_encoded_document_is_kept():
    document = '{"note":"a longer text around it","mail":"bob@example.com"}'
    masked = masker().mask_text(base64.b64encode(document.encode()).decode())
    assert "a longer text around it" in base64.b64decode(masked.text).decode()
    assert masked.findings[0].layers == ("base64",)


def test_widest_span_wins_and_nothing_of_an_overlap_stays():
    masked = masker().mask_text("password='my card 4111111111111111 and bob@example.com'")
    assert [f.label for f in masked.findings] == ["password"]


def test_of_equal_spans_the_more_specific_label_wins():
    assert masker().mask_named("token", "bob@example.com").findings[0].label == "email"


def test_name_wins_over_guessing():
    assert masker().mask_named("user_password", "abc").text.startswith("‹password:")
    assert masker().mask_named("color", "abc").text == "abc"
    assert masker().mask_named("Authorization", "Bearer abcdefgh").text.startswith("Bearer ‹http_authorization:")


def test_batch_equals_one_by_one():
    texts = ["", "plain", CARD, "naïve", "\ud800 bob@example.com", "a\0b", "x" * 1000, "password=hunter2", "é@é"]
    batch = masker().mask_batch(texts, [str(i) for i in range(len(texts))])
    for index, text in enumerate(texts):
        alone = masker().mask_text(text, str(index))
        assert (batch[index] or MaskedText(text)) == alone
        assert (batch[index] is None) == (not alone.findings)
    assert masker().mask_batch([]) == []


@pytest.mark.parametrize("engine", ["hyperscan", "keywords"])
def test_a_text_that_stands_again_is_masked_as_its_own_place_and_name_say(engine: str) -> None:
    mine, password = Masker(tokens=TokenKey(b"k" * 32), kept=COMPILED, engine=engine), label_of("password")
    texts = ["hunter2", "hunter2", CARD, CARD, "hunter2", CARD, "blue", "blue"]
    named = [None, password, None, None, password, password, None, None]
    places = [str(index) for index in range(len(texts))]
    batch = mine.mask_batch(texts, places, named)
    for index, (text, name) in enumerate(zip(texts, named, strict=True)):
        alone = mine.mask_named("password", text, places[index]) if name else mine.mask_text(text, places[index])
        assert (batch[index] or MaskedText(text)) == alone
    assert [outcome is not None for outcome in batch] == [False, True, True, True, True, True, False, False]


@pytest.mark.parametrize("engine", ["hyperscan", "keywords"])
def test_candidates_of_many_contents_are_those_of_each(engine: str) -> None:
    mine = Masker(tokens=TokenKey(b"k" * 32), kept=COMPILED, engine=engine)
    texts = [
        *SECRETS,
        "",
        "SELECT 1",
        "ünï",
        '{"password": "x"}',
        "4111 1111 1111 111",
        "\0",
        "a\0" + CARD,
        "bob",
        "@x.y",
    ]
    contents = [text.encode() for text in texts * 3]
    assert mine.find_candidates(contents) == [i for i, each in enumerate(contents) if mine.has_candidates(each)]
    assert mine.find_candidates([]) == []


def test_batch_of_too_many_hits_is_masked_all_the_same():
    texts = ["a@b.cd " * 9_000, "plain", CARD]
    batch = masker().mask_batch(texts)
    assert batch[0] is not None and "a@b.cd" not in batch[0].text
    assert batch[1] is None
    assert batch[2] is not None


def test_already_masked_text_in_a_wider_match_keeps_its_token():
    masked = masker().mask_text('password = "old ‹payment_card:abcdefghijklmnop› and hunter2"')
    assert "‹payment_card:abcdefghijklmnop›" in masked.text
    assert "hunter2" not in masked.text
    assert masker().mask_text(masked.text).text == masked.text


def test_summary_counts_by_label_and_token():
    masked = masker().mask_text("a@b.cd a@b.cd x@y.zz")
    assert [(label, count) for label, count, _ in summarize(masked.findings)] == [("email", 2), ("email", 1)]


@pytest.mark.parametrize(
    "line",
    ["a" * 10_000_000, "4" * 3_000_000, "password=" * 300_000, "%41" * 300_000, "@a" * 300_000, '"' * 1_000_000],
    ids=["letters", "digits", "names", "escapes", "ats", "quotes"],
)
def test_huge_single_lines_are_masked(line):
    masked = masker().mask_text(line + " 5555555555554444")
    assert "5555555555554444" not in masked.text


FRAGMENTS = st.sampled_from(
    [*SECRETS, "password", "=", ": ", '"', "'", "\\", "‹", "›", "‹email:abcdefghijklmnop›", "%41", "\u200b", "\0",
     "://", "@", "token", "\n", "-----BEGIN PRIVATE KEY-----", "Cookie: ", "eyJhbGciOiJIUzI1NiJ9", "Ym9iQGEuYmNkZQ"]
)  # fmt: skip
TEXTS = st.lists(FRAGMENTS | st.text(max_size=12), max_size=12).map("".join)


@settings(max_examples=400, deadline=None)
@given(TEXTS)
@example("eyJhbGciOiJIUzI1NiJ9://536-22-1234=bob@example.com")
@example("curl -u 536-22-1234=hunter2x https://example.com")
@example("536-22-1234=hunter2x@tcp(127.0.0.1:3306)/db")
def test_masking_is_idempotent_and_both_engines_agree(text):
    masked = masker().mask_text(text)
    assert masker("keywords").mask_text(text) == masked
    assert masker().mask_text(masked.text).text == masked.text
    batch = masker().mask_batch([text, "x", text])
    assert (batch[0] or MaskedText(text)).text == masked.text == (batch[2] or MaskedText(text)).text


def test_a_masker_needs_a_key():
    with pytest.raises(ValueError, match="token key"):
        Masker()


def test_time_is_bounded_by_length():
    started = time.process_time()
    masker().mask_text("a.b-c_" * 200_000)
    assert time.process_time() - started < 60  # a guard against quadratic engines, not a benchmark


@pytest.mark.parametrize("engine", ["hyperscan", "keywords"])
def test_candidates_by_one_scan_give_the_spans_that_each_text_has_alone(engine):
    from masking.catalog import load_detectors

    contents = [case.text.encode() for detector in load_detectors() for case in detector.hits]
    contents += [text.encode() for detector in load_detectors() for text in detector.misses]
    own = masker(engine)
    found = own.candidates_in([*contents, b"", b"nothing at all"])
    assert len(contents) + 1 not in found
    for index, content in enumerate(contents):
        alone = [told(span) for span in own.find_spans(content)]
        spans = own.find_spans(content, found[index]) if index in found else []
        assert [told(span) for span in spans] == alone, content


def told(span):
    return span.start, span.end, span.value, span.rank, span.context_start, span.replacement, len(span.inner)
