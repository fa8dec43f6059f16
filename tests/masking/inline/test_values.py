import pytest

from masking.inline.values import NAMELESS
from masking.names import label_of
from tests.masking.helpers import masker
from tests.masking.inline.helpers import CARD, EMAIL, PASSWORD, order


def mask(values, text, name="", *, is_whole=False):
    (outcome,) = values.mask_values([text.encode()], [values.name_of(name)], [is_whole])
    return None if outcome is None else (outcome.data.decode(), [finding.label for finding in outcome.findings])


def test_without_labels_all_that_the_engine_finds_goes_with_its_own_tokens():
    shown, labels = mask(order(), f"{CARD} of {EMAIL}")
    assert shown == masker().mask_text(f"{CARD} of {EMAIL}").text
    assert labels == ["payment_card", "email"]
    assert mask(order(), "nothing here") is None


def test_with_labels_only_those_go():
    shown, labels = mask(order(labels=("email",)), f"{CARD} of {EMAIL}")
    assert shown.startswith(f"{CARD} of ‹email:") and labels == ["email"]


def test_a_wanted_label_inside_an_unwanted_one_goes():
    shown, labels = mask(order(labels=("payment_card",)), f'password = "{CARD}"')
    assert CARD not in shown and labels == ["payment_card"]
    assert mask(order(labels=("payment_card",)), f'password = "{PASSWORD}"') is None


def test_an_unknown_label_is_an_error():
    with pytest.raises(ValueError, match="no detector has the label nonsense"):
        order(labels=("email", "nonsense"))


def test_a_telling_name_wins_over_guessing_when_its_label_is_wanted():
    assert label_of("db_password") is not None
    shown, labels = mask(order(), "correct horse battery", "db_password")
    assert shown.startswith("‹password:") and labels == ["password"]
    assert mask(order(labels=("email",)), "correct horse battery", "db_password") is None


@pytest.mark.parametrize("name", ["salary", "SALARY", "base_salary"])
def test_named_columns_go_whole(name):
    values = order(columns=("*salary",))
    assert values.name_of(name).is_column
    shown, labels = mask(values, "12,000 a year", name, is_whole=True)
    assert shown.startswith("‹column:") and labels == ["column"]
    assert not values.name_of("salary_band").is_column


def test_a_whole_value_keeps_its_token_wherever_it_stands():
    values = order(columns=("salary",))
    assert mask(values, "777", "salary", is_whole=True) == mask(values, "777", is_whole=True)
    with_mark = mask(values, "777 ‹", "salary", is_whole=True)
    assert with_mark is not None and "777" not in with_mark[0]
    assert mask(values, "", "salary", is_whole=True) is None


def test_dotted_patterns_are_for_paths_at_any_depth():
    values = order(columns=("customer.ssn", "$.top"))
    assert values.is_path("orders.customer.ssn") and values.is_path("customer.ssn")
    assert not values.is_path("ssn") and not values.name_of("ssn").is_column


def test_what_is_clean_is_known_before_it_is_looked_at():
    values = order(columns=("salary",))
    assert values.is_clean(b'{"name": "Ada"}')
    assert not values.is_clean(b'{"SALARY": 3}')
    assert not values.is_clean(b'{"\\u0073alary": 3}')
    assert not values.is_clean(f'{{"a": "{EMAIL}"}}'.encode())


def test_bytes_that_are_no_utf_8_are_masked_too():
    values = order()
    data = b"caf\xe9 " + EMAIL.encode()
    (outcome,) = values.mask_values([data], [values.name_of("password")], [False])
    assert outcome is not None and b"bob" not in outcome.data
    whole = values.mask_whole(data, NAMELESS)
    assert whole is not None and whole.data.startswith("‹column:".encode())


def test_places_are_masked_for_the_record():
    report = order().new_report()
    shown = masker().mask_text(f"mail {EMAIL}")
    report.add(shown.findings, f"$.{EMAIL}")
    (entry,) = report.take()
    assert EMAIL not in entry.place and "‹email:" in entry.place
