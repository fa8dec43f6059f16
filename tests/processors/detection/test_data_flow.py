"""Which edges are detections: by the value's label, and by what is known of source and target."""

from typing import Any

import pytest

from processors.detection.data_flow import EXTERNAL, INTERNAL, Place, class_of, is_inside, judge, place_of
from schemas.events import LineageEdge, Origin

OUTSIDE, INSIDE = Place("mailer"), Place("warehouse", INTERNAL)
SOURCE = Place("db", INTERNAL)


def edge(label: str) -> LineageEdge:
    return LineageEdge(
        "e1", 1, "agent", label, "t" * 16, "db", "s1", 2, 0, "planner", "ann", "mailer", "s2", 3, "planner", "ann", "",
        Origin("log", 0, 1), 0,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("label", "source", "target", "severity"),
    [
        ("github_token", SOURCE, OUTSIDE, "critical"),
        ("password", SOURCE, INSIDE, "high"),
        ("payment_card", SOURCE, OUTSIDE, "high"),
        ("de_tax_id", SOURCE, OUTSIDE, "high"),
        ("email", SOURCE, OUTSIDE, "medium"),
        ("", Place("db", INTERNAL, data="confidential"), OUTSIDE, "medium"),
    ],
)
def test_detections(label: str, source: Place, target: Place, severity: str) -> None:
    judged = judge(edge(label), source, target)
    assert judged is not None
    assert judged[0] == severity
    assert judged[1].evidence == ("s1:2", "s2:3")
    assert judged[1].attributes["from_resource"] == "db" and judged[1].attributes["label"] == label


@pytest.mark.parametrize(
    ("label", "source", "target"),
    [
        ("payment_card", SOURCE, INSIDE),
        ("email", SOURCE, INSIDE),
        ("", SOURCE, OUTSIDE),
        ("", Place("db", INTERNAL, data="confidential"), INSIDE),
        ("email", SOURCE, Place("mailer", EXTERNAL, frozenset({"email"}))),
        ("payment_card", SOURCE, Place("psp", EXTERNAL, frozenset({"personal"}))),
        ("password", SOURCE, Place("vault", INTERNAL, frozenset({"secrets"}))),
    ],
)
def test_lineage_only(label: str, source: Place, target: Place) -> None:
    assert judge(edge(label), source, target) is None


@pytest.mark.parametrize(
    ("host", "inside"),
    [
        ("127.0.0.1", True), ("10.1.2.3", True), ("[fd00::1]", True), ("db", True), ("db.prod.svc.cluster.local", True),
        ("8.8.8.8", False), ("api.example.com", False), ("", False), ("2001:4860:4860::8888", False),
    ],
)  # fmt: skip
def test_an_address_says_the_zone_unless_a_label_does(host: str, inside: bool) -> None:
    assert is_inside(host) is inside
    assert place_of("r", {"upstream": {"host": host}}).zone == (INTERNAL if inside else EXTERNAL)
    assert place_of("r", {"upstream": {"host": host}, "labels": {"zone": EXTERNAL}}).zone == EXTERNAL


def test_labels_of_a_resource() -> None:
    labels = {"zone": "internal", "accepts": "email, secrets", "data": "confidential"}
    place = place_of("r", {"labels": labels, "upstream": {"host": "8.8.8.8"}})
    assert place == Place("r", INTERNAL, frozenset({"email", "secrets"}), "confidential")


@pytest.mark.parametrize("payload", [None, {}, {"labels": None}, {"labels": [], "upstream": "x"}])
def test_what_is_unknown_is_outside(payload: dict[str, Any] | None) -> None:
    assert place_of("r", payload) == Place("r")


def test_classes() -> None:
    assert [class_of(label) for label in ("", "email", "iban", "fr_insee", "jwt", "db_password")] == [
        "", "personal", "personal", "personal", "secrets", "secrets",
    ]  # fmt: skip
