import gzip
import json

import brotli
import pytest
import zstandard

from masking.catalog import load_detectors
from masking.engine import Masker
from masking.inline.body import MAX_WHOLE_BYTES, BodyRewriter
from masking.inline.model import MaskOrder, Unreadable
from masking.inline.values import ValueMaskers
from masking.tokens import TokenRing
from tests.masking.inline.helpers import CARD, EMAIL, order

JSON = json.dumps({"email": EMAIL, "n": 1}).encode()
TEXT = f"mail {EMAIL}\n".encode()
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8
PACK = {"gzip": gzip.compress, "br": brotli.compress, "zstd": zstandard.compress}
UNPACK = {"gzip": gzip.decompress, "br": brotli.decompress}


def make(content_type="", coding="", **fields):
    values = order(**fields)
    report = values.new_report()
    return BodyRewriter(values, report, content_type, coding), report


def stream(body, data, size):
    sent = [item for start in range(0, len(data), size) for item in body.feed(data[start : start + size])]
    sent.append(body.finish())
    return b"".join(item[0] for item in sent), b"".join(item[1] for item in sent)


@pytest.mark.parametrize("size", [1, 9, 1 << 20])
@pytest.mark.parametrize(
    "content_type", ["application/json", "application/vnd.x+json", "application/x-ndjson", "", "image/png"]
)
def test_json_is_known_by_its_type_or_its_look(content_type, size):
    sent, kept = stream(make(content_type)[0], JSON, size)
    assert sent == kept and json.loads(sent)["n"] == 1 and b"bob" not in sent


@pytest.mark.parametrize("content_type", ["text/plain", "application/xml", "application/x-www-form-urlencoded", ""])
def test_text_is_masked_as_text(content_type):
    assert b"bob" not in stream(make(content_type)[0], TEXT * 300, 700)[0]
    assert b"bob" not in make(content_type)[0].rewrite_whole(TEXT)[0]


def test_events_are_shown_one_by_one_in_their_coding_too():
    body, _ = make("text/event-stream", "gzip")
    packed = gzip.compress(b"data: " + JSON + b"\n\ndata: x\n\n")
    assert body.is_decided
    sent, kept = stream(body, packed, 11)
    assert gzip.decompress(sent) == kept and kept.endswith(b"\n\ndata: x\n\n") and b"bob" not in kept


@pytest.mark.parametrize("coding", PACK)
@pytest.mark.parametrize("size", [5, 1 << 20])
def test_coded_bodies_come_back_in_their_coding(coding, size):
    packed = PACK[coding](JSON)
    whole = make("application/json", coding)[0].rewrite_whole(packed)
    pieces = stream(make("application/json", coding)[0], packed, size)
    assert whole[1] == pieces[1] and json.loads(whole[1])["n"] == 1 and b"bob" not in whole[1]
    for sent, kept in (whole, pieces):
        read = zstandard.ZstdDecompressor().decompressobj().decompress if coding == "zstd" else UNPACK[coding]
        assert read(sent) == kept


def test_a_body_in_which_nothing_had_to_change_is_the_same_object():
    packed = gzip.compress(b'{"n": 1}')
    body, report = make("application/json", "gzip")
    sent, kept = body.rewrite_whole(packed)
    assert sent is packed and kept == b'{"n": 1}' and not report.total
    assert make()[0].rewrite_whole(b"") == (b"", b"")


@pytest.mark.parametrize(
    ("content_type", "coding", "data", "reason"),
    [
        ("image/png", "", PNG, "neither JSON nor text"),
        ("application/grpc", "", b"\0\0\0\0\x05\x0a\x03abc", "neither JSON nor text"),
        ("application/json", "sdch", JSON, "coding"),
        ("text/plain; charset=ebcdic-9", "", TEXT, "charset"),
    ],
)
def test_what_cannot_be_read_is_refused_or_relayed_as_policy_says(content_type, coding, data, reason):
    with pytest.raises(Unreadable, match=reason):
        stream(make(content_type, coding)[0], data, 100)
    with pytest.raises(Unreadable, match=reason):
        make(content_type, coding)[0].rewrite_whole(data)
    body, report = make(content_type, coding, is_strict=False)
    assert stream(body, data, 100) == (data, data)
    assert reason in report.unread and not report.total


def test_a_broken_coding_is_refused_either_way():
    for strict in (True, False):
        with pytest.raises(Unreadable, match="coding"):
            stream(make("application/json", "gzip", is_strict=strict)[0], b"no gzip at all", 3)
        with pytest.raises(Unreadable, match="too early"):
            make("application/json", "gzip", is_strict=strict)[0].rewrite_whole(gzip.compress(JSON)[:-3])


def test_columns_need_json():
    with pytest.raises(Unreadable, match="columns"):
        make("text/csv", columns=("salary",))[0].rewrite_whole(b"name,salary\nann,3\n")
    body, report = make("text/csv", columns=("salary",), is_strict=False)
    assert body.rewrite_whole(b"name,salary\nann,3\n")[0] == b"name,salary\nann,3\n"
    assert "columns" in report.unread


def test_a_body_held_whole_may_not_expand_without_end():
    with pytest.raises(Unreadable, match="too far"):
        make("text/plain", "gzip")[0].rewrite_whole(gzip.compress(bytes(MAX_WHOLE_BYTES + 1)))


def test_a_slow_text_is_shown_line_by_line():
    body, _ = make("text/plain")
    assert list(body.feed(b"first\nsec")) == [] and not body.is_decided
    assert body.flush() == (b"first\n", b"first\n") and body.is_decided
    assert list(body.feed(b"ond " + CARD.encode())) == []
    assert body.flush()[0] == b""
    assert b"second" in body.finish()[0]


@pytest.mark.parametrize("charset", ["utf-16", "iso-8859-1"])
def test_other_charsets_by_head_and_by_mark(charset):
    data = f'{{"a": "é {EMAIL}"}}'.encode(charset)
    sent = stream(make(f"application/json; charset={charset}")[0], data, 3)[0]
    assert json.loads(sent.decode(charset))["a"].startswith("é ‹email:")
    marked = f"é {EMAIL}\n".encode("utf-16")
    assert EMAIL not in stream(make("text/plain")[0], marked, 7)[0].decode("utf-16")


def test_a_name_whose_letters_are_escaped_tells_its_value():
    body, report = make("application/json")
    sent, _ = body.rewrite_whole(
        json.dumps({"пароль": "hunter2x", "note": json.dumps({"contraseña": "hunter3x"})}).encode()
    )
    assert b"hunter" not in sent and [entry.place for entry in report.take()] == ["$.пароль", "$.note.contraseña"]


@pytest.mark.parametrize("coding", PACK)
def test_a_coded_body_seen_before_is_not_looked_at_again(coding):
    ring = TokenRing([bytes(32)])
    detectors = [detector for detector in load_detectors() if detector.label == "email"]
    values = ValueMaskers(Masker(detectors, ring, engine="keywords")).masker_for(MaskOrder())
    secret, clean = PACK[coding](JSON), PACK[coding](b'{"n": 1}')

    def ask(data):
        report = values.new_report()
        sent, shown = BodyRewriter(values, report, "application/json", coding).rewrite_whole(data)
        assert shown == b'{"n": 1}' or (sent != data and b"bob" not in shown)
        return shown, report.take()

    first, plain = ask(secret), ask(clean)
    assert [entry.label for entry in first[1]] == ["email"] and plain[1] == []
    ring.replace([bytes(31) + b"1"])
    assert (ask(secret), ask(clean)) == (first, plain), "by the old key: nothing was masked anew"
    values.forget()
    assert ask(secret) != first


def test_a_body_seen_before_is_given_and_reported_the_same_and_only_for_its_type_and_order():
    first, report = make("application/json")
    assert first.rewrite_whole(JSON)[0] != JSON
    told = report.take()
    assert [entry.label for entry in told] == ["email"]
    again, report = make("application/json")
    assert again.rewrite_whole(JSON) == first.rewrite_whole(JSON) and report.take() == told
    clean = b'{"n": 1}'
    for _ in range(2):
        sent, shown = make("application/json")[0].rewrite_whole(clean)
        assert sent is clean is shown
    hidden, report = make("application/json", columns=("n",))
    assert hidden.rewrite_whole(clean)[0] != clean and report.total == 1
    as_text, report = make("text/plain", is_strict=False, columns=("n",))
    assert as_text.rewrite_whole(b"n is 1") == (b"n is 1", b"n is 1") and report.unread
    again, report = make("text/plain", is_strict=False, columns=("n",))
    assert again.rewrite_whole(b"n is 1")[0] == b"n is 1" and report.unread, "it is said each time"
    for _ in range(2):
        with pytest.raises(Unreadable):
            make("text/plain", columns=("n",))[0].rewrite_whole(b"n is 1")
