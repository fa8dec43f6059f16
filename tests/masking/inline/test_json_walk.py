import json

import pytest

from masking.catalog import load_detectors
from masking.inline.json_walk import MAX_DEPTH, Walk, end_of_string, end_of_word
from tests.masking.inline.helpers import order

DOCUMENT = {
    "id": 70_000,
    "short": [7, "four"],
    "names": ["Ada L.", "", None, True, 1500.25],
    "customer": {"ssn": "1", "address": {"street": "2 Long Road", "flags": [True, {"deep": "three"}]}},
    "tail": "the end",
}


def places(values, data: bytes, size: int):
    walk = Walk(values, "$")
    found, held = [], b""
    for start in range(0, len(data), size):
        held += data[start : start + size]
        position = walk.go(held, is_last=start + size >= len(data))
        taken = zip(walk.slots, walk.contents, walk.names, walk.wholes, strict=True)
        found += [(slot.place(), content.decode(), name.text, whole) for slot, content, name, whole in taken]
        for slot, content in zip(walk.slots, walk.contents, strict=True):
            assert content in held[slot.start : slot.end]
        walk.forget()
        held = held[position:]
    assert held == b""
    return found


@pytest.mark.parametrize("size", [1, 3, 10_000])
@pytest.mark.parametrize("indent", [None, 2])
def test_values_have_their_names_and_places(size, indent):
    found = places(order(), json.dumps(DOCUMENT, indent=indent).encode(), size)
    assert [item for item in found if not item[0].endswith("(key)")] == [
        ("$.id", "70000", "id", False),
        ("$.names[0]", "Ada L.", "names", False),
        ("$.names[4]", "1500.25", "names", False),
        ("$.customer.ssn", "1", "ssn", False),
        ("$.customer.address.street", "2 Long Road", "street", False),
        ("$.customer.address.flags[1].deep", "three", "deep", False),
        ("$.tail", "the end", "tail", False),
    ]


@pytest.mark.parametrize("size", [1, 10_000])
def test_all_that_is_in_a_named_value_goes(size):
    found = places(order(columns=("address", "customer.ssn")), json.dumps(DOCUMENT).encode(), size)
    assert [place for place, _, _, whole in found if whole] == [
        "$.customer.ssn",
        "$.customer.address.street",
        "$.customer.address.flags[0]",
        "$.customer.address.flags[1].deep",
    ]


def test_rows_whose_keys_come_in_another_order_or_are_others_have_their_own_places():
    rows = [
        {"first": "value 1", "second": {"first": "value 2"}, "third": "value 3"},
        {"first": "value 4", "second": {"first": "value 5"}, "third": "value 6"},
        {"third": "value 7", "first": "value 8"},
        {"first": "value 9", "sec": "value 10", "second ": "value 11", "x" * 300: "value 12"},
        {"first": "value 14", "second": [{"third": "value 15"}]},
    ]
    text = json.dumps(rows)
    values = order()
    for _ in range(3):
        found = places(values, text.encode(), len(text))
        assert [(place, name) for place, _, name, _ in found] == [
            ("$[0].first", "first"), ("$[0].second.first", "first"), ("$[0].third", "third"),
            ("$[1].first", "first"), ("$[1].second.first", "first"), ("$[1].third", "third"),
            ("$[2].third", "third"), ("$[2].first", "first"),
            ("$[3].first", "first"), ("$[3].sec", "sec"), ("$[3].second ", "second "),
            (f"$[3].{'x' * 300}"[:200], "x" * 300),
            ("$[4].first", "first"), ("$[4].second[0].third", "third"),
        ]  # fmt: skip


def test_a_key_that_looks_like_a_secret_is_a_value_too():
    found = places(order(), b'{"bob@example.com": {"a": 12345}}', 5)
    assert found[0] == ("$ (key)", "bob@example.com", "", False)
    assert found[1][0] == "$.bob@example.com.a"


def test_it_stops_at_what_is_no_json_and_where_it_gets_too_deep():
    assert Walk(order(), "$").go(b'{"a": nope}', is_last=True) == 6
    assert Walk(order(), "$").go(b"[" * (MAX_DEPTH + 5), is_last=False) == MAX_DEPTH
    assert Walk(order(), "$").go(b"]]]}}", is_last=False) == 5


def test_what_has_a_hit_is_collected_whatever_stands_around_it() -> None:
    values = order()
    texts = [case.text for detector in load_detectors() for case in detector.hits]
    assert len(texts) > 400
    for number in range(0, len(texts), 3):
        doc = json.dumps({"note": texts[number], "id": number, "more": texts[number + 1 : number + 3]}).encode()
        plain = json.dumps({"note": texts[number].replace("\\", "").replace('"', "'")}, ensure_ascii=False).encode()
        for data in (doc, plain):
            every, some = Walk(values, "$"), Walk(values, "$")
            assert every.go(data, is_last=True) == some.go(data, is_last=True, hits=values.hit_ends(data)) == len(data)
            collected = {slot.start for slot in some.slots}
            outcomes = values.mask_values(every.contents, every.names, every.wholes)
            masked = {slot.start for slot, outcome in zip(every.slots, outcomes, strict=True) if outcome is not None}
            assert masked <= collected, data


def test_without_hits_only_names_and_escapes_are_collected() -> None:
    data = b'{"city": "Springfield", "password": "hunter22", "note": "a\\nb and more", "id": 123456}'
    walk = Walk(order(), "$")
    walk.go(data, is_last=True, hits=[])
    assert walk.contents == [b"hunter22", b"a\nb and more"]


@pytest.mark.parametrize(
    ("text", "end"),
    [(b'"a"', 3), (b'"a\\""', 5), (b'"a\\\\"', 5), (b'"a\\\\\\""', 7), (b'"\\\\\\\\"', 6), (b'"a', -1), (b'"a\\"', -1)],
)
def test_a_string_ends_at_the_first_quote_that_nothing_escapes(text: bytes, end: int) -> None:
    assert end_of_string(text, 0) == end
    assert end_of_string(b"[" + text, 1) == (end + 1 if end > 0 else -1)


@pytest.mark.parametrize(
    ("text", "end"),
    [
        (b"true,", 4),
        (b"-12.5e+3]", 8),
        (b"-Infinity", 9),
        (b"NaN", 3),
        (b"tru", -1),
        (b"-", -1),
        (b"-x", -1),
        (b"x", -1),
    ],
)
def test_a_word_ends_where_its_form_does(text: bytes, end: int) -> None:
    assert end_of_word(text, 0) == end
