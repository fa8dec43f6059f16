"""Who may act for whom."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.delegation import MAX_CHAIN, Asking, Granted, NotGranted, decide, matches
from console.oidc.workloads import WorkloadIdentity
from schemas.identity_config import Grant
from schemas.resources import Credential, Delegate

NOW = 1_800_000_000_000_000
REGISTERED = ("cards", "mailer", "orders")
PLANNER = WorkloadIdentity("cluster", "sa:planner", {"sub": "sa:planner", "k8s": {"namespace": "agents"}})
EXECUTOR = WorkloadIdentity("cluster", "sa:executor", {"sub": "sa:executor", "k8s": {"namespace": "agents"}})
GRANTS = [
    Grant.model_validate(entry)
    for entry in (
        {"agent": "notebook", "groups": ["developers"], "resources": ["orders"], "max_ttl_s": 600},
        {"agent": "planner", "workload": {"issuer": "cluster", "claims": {"sub": "sa:planner"}},
         "principals": ["*@example.com"], "resources": ["or*", "mailer"]},
        {"agent": "executor",
         "workload": {"issuer": "cluster", "claims": {"sub": "sa:executor", "k8s.namespace": "agents"}},
         "after": ["planner"], "on_its_own": True, "resources": ["mailer", "cards"], "max_ttl_s": 900},
    )
]  # fmt: skip
ANN = {"principal": "ann@example.com", "groups": ("developers",), "is_person": True}


def ask(**values: Any) -> Granted:
    return decide(Asking(**values), GRANTS, REGISTERED, NOW)


def parent(**changes: Any) -> Credential:
    values: dict[str, Any] = {
        "id": "planner-1", "principal": "ann@example.com", "agent": "planner", "groups": ["developers"],
        "delegation": [{"actor": "planner", "on_behalf_of": "ann@example.com"}], "run_id": "run-7",
        "resources": ["orders", "mailer"], "expires_at": NOW + 300_000_000,
    }  # fmt: skip
    return Credential.model_validate(values | changes)


def test_a_person_starts_an_agent_that_no_workload_proves() -> None:
    found = ask(**ANN, agent="notebook", ttl_s=9000)
    assert found == Granted(
        "ann@example.com", ("developers",), "notebook",
        (Delegate(actor="notebook", on_behalf_of="ann@example.com"),), ("orders",), 600,
    )  # fmt: skip


def test_a_workload_acts_for_a_person_on_what_both_ask_for() -> None:
    found = ask(**ANN, actor=PLANNER, resources=("mailer",))
    assert (found.agent, found.principal, found.resources) == ("planner", "ann@example.com", ("mailer",))
    assert ask(**ANN, actor=PLANNER).resources == ("mailer", "orders")


def test_a_bound_grant_binds_what_it_gives_to_the_workload_that_proved_itself() -> None:
    workload = {"issuer": "mesh", "claims": {"sub": "spiffe://mesh.example/planner"}}
    grant = {"agent": "planner", "workload": workload, "principals": ["*"], "after": ["executor"],
             "on_its_own": True, "resources": ["orders"], "bound": True}  # fmt: skip
    actor = WorkloadIdentity("mesh", "spiffe://mesh.example/planner", {"sub": "spiffe://mesh.example/planner"})
    grants = [Grant.model_validate(grant)]
    for whom in (ANN, {"principal": actor.principal}, {"principal": "ann", "parent": parent(agent="executor")}):
        assert decide(Asking(**whom, actor=actor), grants, REGISTERED, NOW).spiffe_id == actor.subject
    assert ask(**ANN, actor=PLANNER).spiffe_id == ""


def test_a_workload_acts_for_itself_where_that_is_granted() -> None:
    found = ask(principal=EXECUTOR.principal, actor=EXECUTOR)
    assert (found.principal, found.delegation, found.groups) == ("cluster:sa:executor", (), ())
    with pytest.raises(NotGranted):
        ask(principal=PLANNER.principal, actor=PLANNER)


def test_a_credential_is_handed_on_with_less_never_with_more() -> None:
    found = ask(principal="ann@example.com", parent=parent(), actor=EXECUTOR, ttl_s=9000)
    assert found.resources == ("mailer",)  # cards: granted to the executor, not to the planner
    assert found.ttl_s == 300 and found.run_id == "run-7" and found.groups == ("developers",)
    assert found.parents == ("planner-1",)
    assert [(link.actor, link.on_behalf_of) for link in found.delegation] == [
        ("planner", "ann@example.com"), ("executor", "planner"),
    ]  # fmt: skip
    with pytest.raises(NotGranted, match="cards"):
        ask(principal="ann@example.com", parent=parent(), actor=EXECUTOR, resources=("cards",))
    every = ask(principal="ann@example.com", parent=parent(resources=["*"]), actor=EXECUTOR, resources=("cards",))
    assert every.resources == ("cards",)


@pytest.mark.parametrize(
    "values",
    [
        {**ANN, "agent": "planner"},  # a person cannot say to be the workload
        {**ANN, "agent": "other"},
        {**ANN},
        {**ANN, "agent": "notebook", "groups": ()},
        {**ANN, "agent": "notebook", "resources": ("cards",)},
        {**ANN, "agent": "notebook", "resources": ("orders", "cards")},
        {**ANN, "actor": EXECUTOR},  # nobody granted it to act for people
        {**ANN, "actor": PLANNER, "principal": "eve@evil.example"},
        {**ANN, "actor": PLANNER, "agent": "executor"},
        {**ANN, "actor": WorkloadIdentity("other", "sa:planner", {"sub": "sa:planner"})},
        {**ANN, "actor": WorkloadIdentity("cluster", "sa:planner2", {"sub": "sa:planner2"})},
        {**ANN, "actor": WorkloadIdentity("cluster", "sa:executor", {"sub": "sa:executor", "k8s": {"namespace": "x"}})},
        {"principal": "ann@example.com", "parent": parent(agent="notebook"), "actor": EXECUTOR},
        {"principal": "ann@example.com", "parent": parent(), "actor": PLANNER},
        {"principal": "cluster:sa:executor", "agent": "executor"},
        {"principal": PLANNER.principal, "actor": EXECUTOR},  # for itself is not for another workload
    ],
)
def test_whatever_no_grant_says_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(NotGranted):
        ask(**values)


def test_a_chain_ends() -> None:
    chain = [{"actor": f"a{n}", "on_behalf_of": f"a{n - 1}"} for n in range(MAX_CHAIN)]
    with pytest.raises(NotGranted, match="links"):
        ask(principal="ann@example.com", parent=parent(delegation=chain), actor=EXECUTOR)


def test_without_grants_nobody_acts() -> None:
    with pytest.raises(NotGranted):
        decide(Asking(**ANN, agent="notebook"), [], REGISTERED, NOW)


@pytest.mark.parametrize(
    ("pattern", "text", "fits"),
    [
        ("*", "anything\nat all", True), ("a*c", "abc", True), ("a*c", "ac", True), ("a*c", "acd", False),
        ("a.c", "abc", False), ("*@example.com", "x@example.com", True), ("*@example.com", "x@example.com.evil", False),
        ("", "", True), ("", "x", False), ("[ab]", "a", False),
    ],
)  # fmt: skip
def test_patterns(pattern: str, text: str, fits: bool) -> None:
    assert matches(pattern, text) is fits


@given(st.text(max_size=30))
def test_a_text_without_stars_fits_itself_only(text: str) -> None:
    literal = text.replace("*", "")
    assert matches(literal, literal) and not matches(literal, literal + "x")


NAMES = st.sampled_from(["orders", "cards", "mailer", "*"])


ASKED = st.lists(NAMES.filter(lambda name: name != "*"), max_size=3, unique=True)


@given(st.lists(NAMES, min_size=1, max_size=3), ASKED, st.integers(1, 10**7))
def test_nothing_derived_is_more_than_its_parent(held: list[str], asked: list[str], ttl_s: int) -> None:
    above = parent(resources=held)
    try:
        found = ask(principal=above.principal, parent=above, actor=EXECUTOR, resources=tuple(asked), ttl_s=ttl_s)
    except NotGranted:
        return
    assert "*" in held or set(found.resources) <= set(held)
    assert set(found.resources) <= {"mailer", "cards"}
    assert NOW + found.ttl_s * 1_000_000 <= above.expires_at
