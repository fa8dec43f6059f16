import pytest

from masking.catalog import parse_family
from masking.detection import context_of, flatten, look_of

DETECTORS = """
- name: token-form
  label: a_key
  description: d
  keywords: [abc_]
  token: 'abc_[0-9]{4}'
  hit: ['[[abc_1234]]']
  miss: [abc]
- name: pattern-form
  label: b_key
  description: d
  keywords: [key]
  pattern: '\\b([0-9]{4})\\b'
  context: [near]
  normalize: lower
  hit: ['key near [[1234]]']
  miss: [key]
"""
TOKEN, PATTERN = parse_family("f", DETECTORS)


@pytest.mark.parametrize(
    ("text", "flat"),
    [
        (b"a\\nb", b"a \nb"),
        (b"\\t\\r", b" \t \r"),
        (b"\x1b[31mred\x1b[0m", b"     red    "),
        (b"plain", b"plain"),
        (b"C:\\new", b"C: \new"),
    ],
)
def test_flattening_keeps_every_offset(text: bytes, flat: bytes) -> None:
    assert flatten(text) == flat and len(flat) == len(text)


@pytest.mark.parametrize("where", [None, [2], [0, 2, 2]])
def test_a_token_is_found_where_its_keyword_begins_or_everywhere(where: list[int] | None) -> None:
    text = b"a abc_1234 b"
    assert [(s.start, s.end, s.label) for s in look_of(TOKEN)(text, text, where)] == [(2, 10, "a_key")]


@pytest.mark.parametrize("text", [b"xabc_1234", b"abc_12345", b"abc_1234-", b"ABC_1234"])
def test_a_token_stands_alone(text: bytes) -> None:
    start = text.lower().index(b"abc_")
    assert list(look_of(TOKEN)(text, text, [start])) == [] == list(look_of(TOKEN)(text, text, None))


def test_context_is_near_or_it_is_none() -> None:
    look = look_of(PATTERN)
    near, far = b"key near 1234", b"near" + b" " * 200 + b"key 1234"
    assert [s.start for s in look(near, near, None)] == [9]
    assert list(look(far, far, None)) == []


def test_short_words_stand_alone_and_labels_are_no_context() -> None:
    near = context_of([b"sin", b"account"])
    assert near is not None and context_of([]) is None
    assert near(b"sin 123", 4, 7) and near(b"MyAccount 123", 10, 13)
    assert not near(b"using 123", 6, 9)
    token = "‹account:abcdefghijklmnop›".encode()
    assert not near(token + b" 123", len(token) + 1, len(token) + 4)
    assert not near(b"123 " + b"x" * 24 + token, 0, 3)
