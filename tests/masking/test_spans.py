import pytest

from masking.spans import Span, any_touches_word, blank, is_in_token, normalize, resolve, splice, stands_at
from tests.masking.helpers import KEY

DATA = b"0123456789abcdefghij"


def span(start, end, label="a", priority=5, context_start=None, data=DATA):
    return Span(start, end, label, priority, data[start:end], start if context_start is None else context_start)


def test_overlaps_become_one_under_the_widest_label():
    (one,) = resolve(DATA, [span(2, 6, "small", 9), span(4, 12, "wide"), span(11, 14, "tail")])
    assert (one.start, one.end, one.label, one.value) == (2, 14, "wide", DATA[2:14])


def test_equal_spans_go_to_the_higher_priority():
    (one,) = resolve(DATA, [span(2, 6, "low", 1), span(2, 6, "high", 8)])
    assert one.label == "high"


def test_neighbours_stay_apart():
    assert len(resolve(DATA, [span(2, 4), span(4, 6)])) == 2


def test_no_character_is_cut():
    data = "aéé".encode()
    (one,) = resolve(data, [span(2, 4, data=data)])
    assert (one.start, one.end) == (1, 5)


TOKEN = "‹email:abcdefghijklmnop›".encode()


def test_tokens_stay_and_what_is_around_them_is_masked():
    data = b"see " + TOKEN + b" and"
    pieces = resolve(data, [span(0, len(data), data=data)])
    assert [data[p.start : p.end] for p in pieces] == [b"see ", b" and"]
    assert resolve(TOKEN, [span(0, len(TOKEN), data=TOKEN)]) == []
    assert resolve(data + b"x", [span(len(data), len(data) + 1, context_start=8, data=data + b"x")]) == []


@pytest.mark.parametrize(
    ("text", "is_inside"),
    [
        ("‹password:abcdefgh234567ab› x", True),
        ("a ‹ password: x", False),
        ("‹password: x", False),
        ("‹password:abcdefgh234567a", False),
        ("‹card:abcdefgh234567ab› ‹password=x", False),
        ("‹card:abcdefgh234567ab› password=x", False),
    ],
)
def test_a_name_is_a_tokens_only_inside_of_a_whole_one(text: str, is_inside: bool) -> None:
    data = text.encode()
    assert is_in_token(data, data.index(b"password") + len(b"password")) is is_inside


def test_splice_puts_tokens_and_reports():
    masked, reports = splice(b"ab secret cd", [Span(3, 9, "password", 5, b"secret", 3)], KEY)
    assert masked.decode() == f"ab ‹password:{KEY.token(b'secret')}› cd"
    assert reports[0][1][0].label == "password"


@pytest.mark.parametrize(
    ("start", "part", "stands"),
    [(0, b"01", True), (3, b"34", True), (18, b"ij", True), (19, b"ij", False), (-2, b"ij", False), (3, b"35", False)],
)
def test_a_part_stands_where_it_begins(start, part, stands):
    assert stands_at(DATA, start, part) is stands


def test_blank_keeps_length():
    assert blank(DATA, [span(2, 5)]) == b"01\x01\x01\x0156789abcdefghij"


@pytest.mark.parametrize(("text", "touches"), [(b"xAx", True), (b" A ", False), (b" A-", True), (b"A", False)])
def test_touching_words(text, touches):
    start = text.index(b"A")
    assert any_touches_word(text, [span(start, start + 1, data=text)]) == touches


@pytest.mark.parametrize(
    ("how", "value", "normal"),
    [
        ("digits", b"41-11", b"4111"),
        ("lower", b" A@B ", b"a@b"),
        ("alnum", b"gb 82", b"GB82"),
        ("none", b" A", b" A"),
        ("digits", b"4111", b"4111"),
        ("digits", b"", b""),
        ("alnum", b"gb82", b"GB82"),
        ("alnum", b"", b""),
    ],
)
def test_normal_forms(how, value, normal):
    assert normalize(value, how) == normal
