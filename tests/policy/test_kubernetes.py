import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy.kubernetes import classify_kubernetes
from policy.model import Operation
from tests.policy.tables import load_table

TABLE: list[tuple[str, str]] = list(load_table("kubernetes"))


def test_there_are_enough_cases() -> None:
    assert len({statement for _, statement in TABLE}) == len(TABLE) >= 100


@pytest.mark.parametrize(("expected", "statement"), TABLE, ids=[statement for _, statement in TABLE])
def test_operation(expected: str, statement: str) -> None:
    classified = classify_kubernetes(statement)
    assert ("unknown" if classified.is_unknown else classified.operation) == expected
    assert classified.operation is Operation.ADMIN or not classified.is_unknown


@pytest.mark.parametrize(
    ("statement", "name"),
    [
        ("GET /api/v1/namespaces/default/pods/web", "read default/pods/web"),
        ("GET /api/v1/namespaces/default", "read namespaces/default"),
        ("GET /api/v1/nodes", "read nodes"),
        ("POST /api/v1/namespaces/a/pods/web/exec", "execute a/pods/web/exec"),
        ("GET /version", "read version"),
        ("GET /api/v1/watch/namespaces/a/pods", "read a/pods"),
    ],
)
def test_object(statement: str, name: str) -> None:
    assert [str(each) for each in classify_kubernetes(statement).objects] == [name]


@pytest.mark.parametrize(
    ("statement", "has_where", "lacks_where"),
    [
        ("DELETE /api/v1/namespaces/a/pods", False, True),
        ("DELETE /api/v1/namespaces/a/pods?labelSelector=", False, True),
        ("DELETE /api/v1/namespaces/a/pods?labelSelector=x", True, False),
        ("DELETE /api/v1/namespaces/a/pods/x", True, False),
        ("GET /api/v1/pods", False, False),
    ],
)
def test_where(statement: str, has_where: bool, lacks_where: bool) -> None:
    classified = classify_kubernetes(statement)
    assert (classified.has_where, classified.lacks_where) == (has_where, lacks_where)


def test_names_share_a_shape() -> None:
    one, two, other = (
        classify_kubernetes(f"GET /api/v1/namespaces/{path}").fingerprint for path in ("a/pods/x", "b/pods/y", "a/pods")
    )
    assert one == two != other


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="GET/apisv1namespacesexec%2e.? ", max_size=60) | st.text(max_size=40))
def test_any_text_is_classified(text: str) -> None:
    classified = classify_kubernetes(text)
    assert classified.operation is Operation.ADMIN or not classified.is_unknown
