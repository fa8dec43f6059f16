"""A session's facts reach policy whole."""

from policy.facts import facts_of
from policy.model import Classified, History, Operation
from schemas.events import SessionContext
from schemas.resources import Resource


def test_a_session_gives_who_where_and_whence() -> None:
    resource = Resource.model_validate(
        {
            "name": "db", "protocol": "postgres", "listen": 1, "upstream": {"host": "h", "port": 1},
            "labels": {"environment": "production", "sensitivity": "health, money,"},
        }
    )  # fmt: skip
    context = SessionContext(
        "s", "ann", "planner", resource="db", protocol="postgres", source_ip="10.0.0.1", attributes={"groups": "a, b,,"}
    )
    facts = facts_of(context, resource, Classified(Operation.READ), History(3, 1), "2")
    assert (facts.principal, facts.agent, facts.resource, facts.protocol) == ("ann", "planner", "db", "postgres")
    assert (facts.groups, facts.sensitivity) == (("a", "b"), {"health", "money"})
    assert (facts.source, facts.step, facts.history.hour) == ("10.0.0.1", "2", 3)
    assert facts.labels["environment"] == "production"
