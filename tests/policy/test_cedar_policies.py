import pytest

from policy.cedar_policies import SCHEMA, load_policies, parse_policies, validate
from schemas.errors import ConfigError


def faults(text: str) -> list[str]:
    policies, found = parse_policies({"p": text})
    return [str(fault) for fault in [*found, *validate(policies)]]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("permit (principal action, resource);", "p:1: unexpected token"),
        ("\n\npermit (principal, action, resource)", "p:3: "),
        ('permit (principal, action == Action::"frob", resource);', 'unrecognized action `Action::"frob"`'),
        ('permit (principal == User::"x", action, resource);', "unrecognized entity type `User`"),
        ("permit (principal, action, resource) when { context.nosuch };", "attribute `nosuch`"),
        ("permit (principal, action, resource) when { context.hour == true };", "p:1: "),
        ('@aproval("x") permit (principal, action, resource);', "unknown annotation @aproval"),
        ('@limit_rows("many") permit (principal, action, resource);', "@limit_rows needs a number"),
        ('@mask("email; rows=1") permit (principal, action, resource);', "p:1: @mask takes labels and columns"),
        ('@mask("email") forbid (principal, action, resource);', "@mask on a forbid"),
        ('@limit_rows("0") permit (principal, action, resource);', "@limit_rows needs a number"),
        ('@record("never") permit (principal, action, resource);', "@record takes full, statement, rows= and bytes="),
        ('@approval("x") forbid (principal, action, resource);', "@approval on a forbid"),
        ("permit (principal == ?principal, action, resource);", "templates"),
        (
            '@id("a") permit (principal, action, resource);\n@id("a") forbid (principal, action, resource);',
            "p:2: id 'a' is taken by p:1",
        ),
    ],
)
def test_every_fault_is_told_with_its_line(text: str, fault: str) -> None:
    assert any(fault in each for each in faults(text)), faults(text)


def test_all_faults_are_told_together() -> None:
    text = "permit (principal action);\n\n@nope permit (principal, action, resource);\npermit (x);"
    with pytest.raises(ConfigError) as error:
        load_policies({"p": text})
    assert [line.split(":")[1] for line in str(error.value).splitlines()] == ["1", "3", "4"]


def test_the_version_is_that_of_texts_and_default() -> None:
    text = {"p": "permit (principal, action, resource);"}
    assert load_policies(text).version == load_policies(dict(text)).version
    assert load_policies(text).version != load_policies(text, "allow").version
    assert load_policies(text).version != load_policies({"q": text["p"]}).version


def test_what_decisions_hang_on_besides_is_known() -> None:
    text = 'permit (principal, action, resource) when { context.hour > 8 && context has "denials" || context.multi };'
    assert load_policies({"p": text}).volatile == {"hour", "denials"}
    assert load_policies({"p": "permit (principal, action, resource);"}).volatile == frozenset()
    whole = "permit (principal, action, resource) when { [context].contains(context) };"
    assert load_policies({"p": whole}).volatile >= {"hour", "rows_read"}


def test_policies_without_an_id_are_named_by_their_place() -> None:
    assert list(load_policies({"p": "permit (principal, action, resource);"}).policies) == ["p#1"]


def test_a_giant_text_is_a_fault() -> None:
    with pytest.raises(ConfigError, match="longer than"):
        load_policies({"p": " " * (1 << 21)})


def test_the_schema_has_the_agreed_actions() -> None:
    for action in "connect read write delete ddl grant execute file_read file_write tool_call model_call admin".split():
        assert f'"{action}"' in SCHEMA
