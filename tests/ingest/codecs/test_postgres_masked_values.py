"""Values of each type and form: what goes, what stays, and that each stays readable as its type."""

import json
from struct import pack

import pytest

from ingest.codecs.postgres_masked_values import CellMasker, Column
from ingest.codecs.postgres_types import decoder, render
from tests.ingest.codecs.masked import CARD, EMAIL, order

TOKEN = "‹email:".encode()


def mask(raw: bytes, oid: int, name: str = "x", *, binary: bool = False, encoding: str = "utf-8", **fields: object):
    """(what stands there afterwards, the report)."""
    values = order(**fields)
    report = values.new_report()
    column = Column(values.name_of(name), oid, is_binary=binary)
    (put,) = CellMasker(values, report, encoding).mask([(column, raw)])
    return (raw if put is None else put.data), report


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("oid", [25, 1043, 1042, 19, 142])
def test_texts_keep_what_is_no_secret(oid, binary):
    shown, report = mask(b"to " + EMAIL + b" now", oid, binary=binary)
    assert shown.startswith(b"to " + TOKEN) and shown.endswith(b" now")
    assert [(m.label, m.place) for m in report.take()] == [("email", "x")]
    assert mask(b"nothing", oid, binary=binary)[0] == b"nothing"


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize(("oid", "prefix"), [(114, b""), (3802, b"\x01")])
def test_json_stays_json(oid, prefix, binary):
    document = json.dumps({"a": [EMAIL.decode(), int(CARD)], "salary": 3}).encode()
    prefix = prefix if binary else b""
    shown, _ = mask(prefix + document, oid, binary=binary, columns=("salary",), has_stand_ins=True)
    parsed = json.loads(shown.removeprefix(prefix))
    assert shown.startswith(prefix) and parsed["a"][1] == 0 and parsed["salary"] == 0 and "‹email:" in parsed["a"][0]
    whole, _ = mask(prefix + document, oid, "salary", binary=binary, columns=("salary",))
    assert json.loads(whole.removeprefix(prefix)).startswith("‹column:")


def test_json_in_a_text_column_is_masked_as_json():
    shown, report = mask(b'{"password": "abcdefgh1", "n": 1}', 25)
    assert json.loads(shown)["n"] == 1 and b"abcdefgh" not in shown
    assert report.take()[0].place == "x.password"


NUMBERS = [
    (20, CARD, pack("!q", int(CARD))),
    (1700, CARD, pack("!HhHH4H", 4, 3, 0, 0, 4111, 1111, 1111, 1111)),
]


@pytest.mark.parametrize(("oid", "text", "binary"), NUMBERS)
def test_numbers_become_null_or_zero(oid, text, binary):
    for raw, is_binary in ((text, False), (binary, True)):
        assert mask(raw, oid, binary=is_binary)[0] is None
        zero = mask(raw, oid, binary=is_binary, has_stand_ins=True)[0]
        assert (render(zero, decoder(oid)) if is_binary else zero.decode()) == "0"
        assert mask(raw, oid, binary=is_binary, labels=("email",))[0] == raw


def test_part_of_a_number_is_no_secret():
    assert mask(b"0.4111111111111111", 701)[0] == b"0.4111111111111111"
    assert mask(pack("!i", 42), 23, binary=True)[0] == pack("!i", 42)


@pytest.mark.parametrize("oid", [23, 16, 1082, 1114, 2950, 1007, 600, 99999])
def test_a_named_column_of_any_type_goes_whole(oid):
    raw = {16: b"t", 1007: b"{1,2}", 600: b"(1,2)"}.get(oid, b"7")
    assert mask(raw, oid, "pay", columns=("pay",))[0] is None
    shown = mask(raw, oid, "pay", columns=("pay",), has_stand_ins=True)[0]
    assert shown is None or shown != raw or oid == 16


@pytest.mark.parametrize("literal", [b'{x,"a \\"q\\" %b",NULL}', b"{{x,%b},{NULL,y}}", b"[2:3]={x,%b}"])
def test_texts_in_an_array_as_text(literal):
    shown, report = mask(literal % EMAIL, 1009)
    assert b"bob" not in shown and shown.startswith(literal[:2]) and shown.count(b"{") == literal.count(b"{")
    assert (b"NULL" in shown) is (b"NULL" in literal) and report.take()[0].place == "x"


def test_texts_in_an_array_in_binary():
    def array(*items: bytes | None) -> bytes:
        head = pack("!iiIii", 1, 1, 25, len(items), 1)
        return head + b"".join(pack("!i", -1) if i is None else pack("!i", len(i)) + i for i in items)

    shown, _ = mask(array(b"x", EMAIL, None), 1009, binary=True)
    text = render(shown, decoder(1009))
    assert text.startswith("{x,‹email:") and text.endswith(",NULL}")
    assert mask(array(EMAIL)[:-3], 1009, binary=True)[0] is None  # malformed: nothing of it is shown


@pytest.mark.parametrize(
    ("raw", "binary"), [(b"mail " + EMAIL, True), (b"\\x" + (b"mail " + EMAIL).hex().encode(), False)]
)
def test_bytes_that_are_text(raw, binary):
    shown, _ = mask(raw, 17, binary=binary)
    content = shown if binary else bytes.fromhex(shown[2:].decode())
    assert content.startswith(b"mail " + TOKEN)


def test_values_that_cannot_be_read():
    blob = b"\x89PNG" + bytes(range(64))
    shown, report = mask(blob, 17, binary=True)
    assert shown is None and [m.label for m in report.take()] == ["unreadable"]
    shown, report = mask(blob, 17, binary=True, is_strict=False)
    assert shown == blob and "cannot be read" in report.unread
    assert mask(pack("!dd", 1, 2), 600, binary=True)[0] is None  # a point
    assert mask(EMAIL, 99999, binary=True)[0] is None  # text of a type that nobody knows
    assert mask(b"calm", 99999, binary=True)[0] == b"calm"


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "shift_jis", "gb18030"])
def test_other_encodings_come_back_in_their_own(encoding):
    raw = ("é " if encoding in ("latin-1", "cp1252") else "表 ").encode(encoding) + EMAIL
    shown, _ = mask(raw, 25, encoding=encoding)
    assert shown.startswith(raw[:2]) and b"bob" not in shown and "email:" in shown.decode(encoding)
    document = json.dumps({"a": EMAIL.decode()}).encode(encoding)
    assert "‹email:" in json.loads(mask(document, 114, encoding=encoding)[0].decode(encoding))["a"]


def test_a_name_wins_over_guessing():
    assert mask(b"correct horse", 25, "password")[0].startswith("‹password:".encode())
    assert mask(b"correct horse", 25, "password", labels=("email",))[0] == b"correct horse"
