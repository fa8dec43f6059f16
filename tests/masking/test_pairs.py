import re

import pytest

from masking import pairs


def hits(check, text: str, pattern: str = r"(?s)\A(.*)\Z") -> list[tuple[str, str | None]]:
    data = text.encode()
    match = re.search(pattern.encode(), data)
    return [(data[start:end].decode(), label) for start, end, label in check(data, match, 1)]


def test_a_named_value_has_the_label_of_its_name():
    pattern = r'(\w+)=(?:"(.*)"|(\S+))'
    assert hits(pairs.check_named, 'db_password="hunter2"', pattern) == [("hunter2", "password")]
    assert hits(pairs.check_named, "pin=1234", pattern) == [("1234", "pin")]
    assert hits(pairs.check_named, "region=eu", pattern) == []
    assert hits(pairs.check_named, "password=get_it()", pattern) == []


def test_a_value_before_its_name_has_the_label_of_the_name():
    pattern = r"'(.*)' AS (\w+)"
    assert hits(pairs.check_aliased, "'hunter2' AS db_password", pattern) == [("hunter2", "password")]
    assert hits(pairs.check_aliased, "'active' AS status", pattern) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("name bob password hunter2 plan gold", ["hunter2"]),
        ("birth_date \"03/17/1985\" password 'x y z1'", ["03/17/1985", "x y z1"]),
        ("password", []),
        ("qty 2 item 7", []),
        ('password "cut of', []),
        ("", []),
    ],
)
def test_fields_of_a_command(text, found):
    assert [value for value, _ in hits(pairs.check_fields, text)] == found


def test_rows_of_a_table_of_names_and_values():
    rows = "|---|---|\n| login_pass | `magic` |\n| region | eu |\r\nno row\n| api_key | 9f8s7df98sd7f |"
    assert hits(pairs.check_rows, rows) == [("magic", "password"), ("9f8s7df98sd7f", "api_key")]
    assert hits(pairs.check_rows, "region,eu\ndb_password,hunter2\n") == [("hunter2", "password")]
    assert hits(pairs.check_rows, "password\tvault()\n") == []


def test_codes_one_a_line():
    assert [code for code, _ in hits(pairs.check_code_list, "1. 5082-8302\n- de278-d3a31\nABCD 1234\n")] == [
        "5082-8302",
        "de278-d3a31",
        "ABCD 1234",
    ]
    assert hits(pairs.check_code_list, "none yet\n") == []


def test_what_is_read_is_bounded():
    many = "password hunter2 " * 1000
    assert len(hits(pairs.check_fields, many)) == pairs.MAX_PAIRS
    assert len(hits(pairs.check_rows, "| password | hunter2 |\n" * 1000)) == pairs.MAX_PAIRS
    assert len(hits(pairs.check_code_list, "1234-5678\n" * 1000)) == pairs.MAX_PAIRS
