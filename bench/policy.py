"""What policy costs: a decision remembered and a decision made, and statements classified a second by dialect.

`python -m bench.policy` measures CPU time of one thread, since it is spent on the proxy's own loop. Statements are
those of the tables in tests/policy/tables, none remembered; a round takes each once, and the best of the
rounds counts.
"""

import time
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any, Final

from bench.results import record
from ingest.gate import Gate
from policy.cedar_policies import load_policies
from policy.classify import CLASSIFIERS, classify
from policy.decide import ActionFacts, CedarEngine, load_engine, read_policy_file
from schemas.events import SessionContext
from schemas.resources import Resource
from tests.policy.tables import load_table

ROUNDS: Final = 5
HITS: Final = 200_000
HIT_GOAL_US: Final = 20.0
MISSES: Final = 2_000
STATEMENT: Final = "SELECT id, name FROM users WHERE id = 4"
HTTP: Final = ("GET", "POST", "DELETE")
CASES: Final = {"default": "default", "starter": "starter"}


def best_s(function: Callable[[], None], rounds: int = ROUNDS) -> float:
    """The least CPU seconds of some rounds."""
    found = []
    for _ in range(rounds):
        start = time.process_time()
        function()
        found.append(time.process_time() - start)
    return min(found)


def new_session(resource: Resource) -> Any:
    """What the gate looks at of a session."""
    context = SessionContext("s", "ann@example.test", "planner/1.0", resource=resource.name, source_ip="127.0.0.1")
    return SimpleNamespace(context=context, resource=resource)


def measure_hit(engine: CedarEngine) -> float:
    """µs of a ruling on a statement whose shape was ruled on before, from its text on."""
    upstream = {"host": "h", "port": 1}
    resource = Resource.model_validate(
        {
            "name": "db",
            "protocol": "postgres",
            "listen": 1,
            "upstream": upstream,
            "labels": {"environment": "production"},
        }
    )
    session, gate = new_session(resource), Gate(engine, "postgres")
    gate.rule(session, STATEMENT)

    def hit() -> None:
        for _ in range(HITS):
            gate.rule(session, STATEMENT)

    return best_s(hit) / HITS * 1e6


def measure_miss(engine: CedarEngine) -> float:
    """µs of a decision that nobody remembers; the statement is classified already."""
    classified = classify("postgres", STATEMENT)
    action = ActionFacts("planner/1.0", "ann@example.test", "db", "postgres", classified, {"environment": "production"})

    def miss() -> None:
        for _ in range(MISSES):
            engine.decide(action)

    return best_s(miss) / MISSES * 1e6


def statements_of(dialect: str) -> Sequence[str]:
    """The statements of a dialect's table that are understood."""
    if dialect == "http":
        return [f"{method} https://api.example/orders/{n}/items?page={n}" for n in range(100) for method in HTTP]
    return [statement for expected, statement in load_table(dialect) if expected != "unknown"]


def measure_classifier(dialect: str) -> float:
    """Statements a second, nothing remembered."""
    statements, classifier = statements_of(dialect), CLASSIFIERS[dialect]

    def take_each() -> None:
        for statement in statements:
            classifier(statement)

    take_each()  # parsers load their tables on first use
    return len(statements) / best_s(take_each)


def main() -> None:
    hit_us = measure_hit(load_engine())
    record("policy.decision.hit", hit_us, "µs", "required", hit_us / HIT_GOAL_US)
    for name, policy_file in CASES.items():
        engine = CedarEngine(load_policies(read_policy_file(policy_file)))
        record(f"policy.decision.miss.{name}", measure_miss(engine), "µs")
    for dialect in CLASSIFIERS:
        record(f"policy.classify.{dialect}", measure_classifier(dialect), "statements/s")


if __name__ == "__main__":
    main()
