from itertools import combinations

import pytest

from console.api.roles import EXCLUSIVE, ROLES, Permission, permissions_of, withhold_exclusive
from console.api.routes import ROUTES
from deploy.embedded.secrets import API_ROLES


def test_no_role_both_changes_policy_and_erases_the_trail() -> None:
    for permissions in ROLES.values():
        assert not {Permission.POLICY_WRITE, Permission.TRAIL_ERASE} <= permissions


def test_nobody_holds_an_exclusive_pair_whatever_roles_they_have() -> None:
    for count in range(len(ROLES) + 1):
        for roles in combinations(ROLES, count):
            assert not any(permissions_of(roles).issuperset(pair) for pair in EXCLUSIVE)


def test_of_an_exclusive_pair_neither_is_left() -> None:
    both = frozenset({Permission.POLICY_WRITE, Permission.TRAIL_ERASE, Permission.TRAIL_READ})
    assert withhold_exclusive(both) == {Permission.TRAIL_READ}
    assert withhold_exclusive(both - {Permission.TRAIL_ERASE}) == {Permission.POLICY_WRITE, Permission.TRAIL_READ}


def test_an_unknown_role_may_nothing() -> None:
    assert permissions_of(["root", ""]) == frozenset()


def test_every_role_has_its_local_login() -> None:
    assert set(API_ROLES) == set(ROLES)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.operation)
def test_every_route_that_reads_the_trail_or_changes_something_asks_for_a_permission_and_is_recorded(route) -> None:  # type: ignore[no-untyped-def]
    if route.operation in ("alive", "whoami", "health", "sign_in.settings"):
        assert route.method == "GET"
        return
    if route.operation in ("sign_in", "sign_out", "token.exchange"):  # anybody may, in their own name
        assert route.is_recorded
        return
    assert route.permission is not None
    assert route.is_recorded and not route.is_open
    assert any(route.permission in permissions for permissions in ROLES.values())
