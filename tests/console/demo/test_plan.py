from console.demo.canaries import make_canaries
from console.demo.plan import Tool, make_plan, marker


def test_the_plan_is_the_same_for_the_same_goal_and_uses_every_tool() -> None:
    canaries = make_canaries()
    plan = make_plan(canaries)
    assert plan == make_plan(canaries)
    assert {step.tool for step in plan} == set(Tool)
    assert [step.number for step in plan] == list(range(1, len(plan) + 1))


def test_every_secret_is_used_and_none_is_shown() -> None:
    canaries = make_canaries()
    plan = make_plan(canaries)
    said = "".join(step.text + "".join(map(str, step.parameters)) for step in plan)
    assert [name for name, secret in canaries.values().items() if secret not in said] == []
    assert [name for name, secret in canaries.values().items() if secret in repr(plan)] == []


def test_no_marker_is_part_of_another() -> None:
    marks = [marker("run", step) for step in make_plan(make_canaries())]
    assert not [(a, b) for a in marks for b in marks if a != b and a in b]
