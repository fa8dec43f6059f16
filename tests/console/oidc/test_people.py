from typing import Any

import pytest

from console.oidc.errors import TokenRefused
from console.oidc.people import MAX_GROUPS, groups_of, person_of, roles_of
from schemas.identity_config import Oidc
from tests.support.oidc_provider import ANN

SETTINGS = Oidc(issuer="https://idp.example", client_id="custody")


def test_a_person_is_a_principal_with_groups() -> None:
    person = person_of(ANN, SETTINGS)
    assert (person.principal, person.groups, person.subject) == ("ann@example.com", ("security", "developers"), "ann-1")


@pytest.mark.parametrize("verified", [False, None, "true", 1])
def test_an_email_address_counts_only_when_verified(verified: Any) -> None:
    with pytest.raises(TokenRefused, match="not verified the email"):
        person_of(ANN | {"email_verified": verified}, SETTINGS)


@pytest.mark.parametrize(
    "name", ["", None, 7, "x" * 201, "a\nb", " ann", "auditor@local", "Root@LOCAL", "a\x00b", ["ann"], "ann‮"]
)
def test_what_is_no_name_is_refused(name: Any) -> None:
    with pytest.raises(TokenRefused):
        person_of(ANN | {"name": name}, SETTINGS.model_copy(update={"principal_claim": "name"}))


@pytest.mark.parametrize(
    ("claims", "path", "groups"),
    [
        ({"groups": ["a", "b", "a"]}, "groups", ("a", "b")),
        ({"realm": {"roles": ["a"]}}, "realm.roles", ("a",)),
        ({"https://x.example/groups": ["a"]}, "https://x.example/groups", ("a",)),
        ({"groups": "a"}, "groups", ("a",)),
        ({"groups": ["a,b", 7, None, "", "x" * 201, "c\n", "fine"]}, "groups", ("fine",)),
        ({"groups": {"a": 1}}, "groups", ()),
        ({}, "a.b.c", ()),
        ({"a": "text"}, "a.b", ()),
    ],
)
def test_groups(claims: dict[str, Any], path: str, groups: tuple[str, ...]) -> None:
    assert groups_of(claims, path) == groups


def test_groups_are_bounded() -> None:
    assert len(groups_of({"groups": [str(number) for number in range(10_000)]}, "groups")) == MAX_GROUPS


def test_roles_come_from_groups_and_nothing_else() -> None:
    roles = {"auditor": ["security", "legal"], "operator": ["sre"], "approver": []}
    assert roles_of(("security",), roles) == ("auditor",)
    assert roles_of(("sre", "legal"), roles) == ("auditor", "operator")
    assert roles_of(("auditor", "operator"), roles) == ()
