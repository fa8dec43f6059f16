"""The demo's planner: a goal becomes steps, always the same ones. It has no access to anything."""

import json
from dataclasses import dataclass, field
from enum import StrEnum

from console.demo.canaries import Canaries

TABLE = "custody_demo_refunds"


class Tool(StrEnum):
    """What the executor can use for a step."""

    SQL = "sql"
    API = "api"  # the HTTP resource at its own port
    WEB = "web"  # the same API through the regular HTTP proxy


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do. `expect` is how it must end: a SQLSTATE, or an HTTP status."""

    number: int
    purpose: str
    tool: Tool
    text: str = field(repr=False)
    parameters: tuple[object, ...] = field(default=(), repr=False)
    method: str = "GET"
    expect: str = "00000"


def make_plan(canaries: Canaries) -> list[Step]:
    """Steps for the goal `refund two customers and tell the shop`."""
    insert = f"INSERT INTO {TABLE} (customer, card, ssn, note) VALUES"
    note = f"service key {canaries.aws_key}"
    order = json.dumps({"customer_id": 1, "item": f"voucher, token {canaries.github_token}", "quantity": 1})
    columns = "id serial PRIMARY KEY, customer text, card text, ssn text, note text"
    steps = [
        ("make a place for refunds", Tool.SQL, f"CREATE TABLE IF NOT EXISTS {TABLE} ({columns})", (), "", "00000"),
        ("look up customers", Tool.API, "/customers", (), "GET", "200"),
        ("look up one customer", Tool.WEB, "/customers/2", (), "GET", "200"),
        (
            "note a refund",
            Tool.SQL,
            f"{insert} ('Ada', '{canaries.card}', '{canaries.ssn}', '{note}')",
            (),
            "",
            "00000",
        ),
        (
            "note another refund",
            Tool.SQL,
            f"{insert} (%s, %s, %s, %s)",
            ("Bo", canaries.second_card, canaries.ssn, f"password={canaries.password}"),
            "",
            "00000",
        ),
        ("read the refunds", Tool.SQL, f"SELECT * FROM {TABLE} ORDER BY id DESC LIMIT 5", (), "", "00000"),  # noqa: S608
        ("order a voucher", Tool.API, "/orders", (order,), "POST", "201"),
        ("list the orders", Tool.WEB, "/orders", (), "GET", "200"),
        ("ask for what is not there", Tool.SQL, "SELECT total FROM custody_demo_missing", (), "", "42P01"),
        ("count the refunds", Tool.SQL, f"SELECT count(*) FROM {TABLE}", (), "", "00000"),  # noqa: S608
        ("ask for an unknown customer", Tool.API, "/customers/99", (), "GET", "404"),
    ]
    return [
        Step(number, purpose, tool, text, parameters, method, expect)
        for number, (purpose, tool, text, parameters, method, expect) in enumerate(steps, 1)
    ]


def marker(run_id: str, step: Step) -> str:
    """What tells this step of this run from every other action in the trail."""
    return f"{run_id}.s{step.number:02d}."
