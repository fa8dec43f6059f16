import pytest

from policy.cedar_check import check_policies
from policy.decide import SHIPPED, read_policy_file

ALL = "(principal, action, resource)"


@pytest.mark.parametrize("name", SHIPPED)
def test_the_shipped_policies_have_no_fault(name: str) -> None:
    assert check_policies(read_policy_file(name)) == []


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (f"permit {ALL};\n\npermit {ALL};", [3]),
        (f"permit {ALL} when {{ false }};", [1]),
        (f"permit {ALL} unless {{ true }};", [1]),
        (f"permit {ALL} when {{ context.multi && !context.multi }};", [1]),
        (f"permit {ALL} when {{ context.multi }} unless {{ context.multi }};", [1]),
        (f'forbid {ALL};\npermit (principal, action == Action::"read", resource);', [2]),
        (
            'forbid (principal, action in [Action::"ddl", Action::"grant"], resource);\n'
            'permit (principal, action == Action::"ddl", resource) when { context.multi };',
            [2],
        ),
        (
            'permit (principal, action == Action::"read", resource);\n'
            'forbid (principal, action == Action::"ddl", resource);',
            [],
        ),
        (f"forbid {ALL} when {{ context.multi }};\npermit {ALL};", []),
        (f'@mask permit {ALL};\n@notify("x") permit {ALL};', []),
        (f"permit {ALL} when {{ context.multi }} unless {{ context.unknown }};", []),
    ],
)
def test_unreachable_rules(text: str, lines: list[int]) -> None:
    found = check_policies({"p": text})
    assert [fault.line for fault in found] == lines, found
    assert all("unreachable" in fault.text for fault in found)


def test_unknown_names() -> None:
    text = 'permit (principal, action, resource == Resource::"db");\n'
    text += 'permit (principal, action, resource) when { resource == Resource::"typo" };'
    found = check_policies({"p": text}, {"Resource": frozenset({"db"})})
    assert [str(fault) for fault in found] == ["p:2: unknown resource 'typo'"]


def test_a_delegation_has_no_answer_and_waits_for_nobody() -> None:
    text = """@mask @approval("ask") permit (principal, action == Action::"delegate", resource);
    @approval("ask") permit (principal, action == Action::"delete", resource);"""
    assert [str(fault) for fault in check_policies({"p": text})] == [
        "p:1: @approval on a delegation: it has no answer and does not wait",
        "p:1: @mask on a delegation: it has no answer and does not wait",
    ]
