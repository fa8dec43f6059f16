"""The forms stay within what Slack and Teams document, and show an agent's text as text."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from sinks.approvals.forms import FORMS, custody_form, slack_form, teams_form
from sinks.approvals.notices import Notices
from sinks.approvals.pending import HeldAction, Pending
from tests.sinks.approvals.test_notices import permitted
from tests.sinks.approvals.test_pending import asked, batch

EVIL = "<https://evil.test|click> <!channel> *bold* `code` ``` & [link](https://evil.test)"


def held(**changes: Any) -> HeldAction:
    pending = Pending()
    (found,) = pending.take(batch(asked()))
    return replace(found, **changes)


def walk(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from walk(child)


def test_our_own_form_has_everything_but_the_proxy() -> None:
    document = custody_form(held(delegation=(("planner", "ann"),)))
    assert document["type"] == "approval.requested"
    approval = document["approval"]
    assert approval["approval_id"] == "a1" and approval["statement"] == "DELETE FROM t"
    assert approval["delegation"] == [{"actor": "planner", "on_behalf_of": "ann"}]
    assert "proxy_id" not in approval


@pytest.mark.parametrize("form", FORMS.values())
def test_every_form_names_a_decision_that_is_to_be_known(form: Any) -> None:
    (notice,) = Notices().take(batch(permitted(statement=EVIL)))
    document = form(replace(notice, untold=7, reason=EVIL))
    text = json.dumps(document)
    for part in ("planner", "alice@example.test", "watch-deletions", "7", notice.session_id):
        assert part in text
    if form is not custody_form:
        assert "Allowed: " in text and "approve" not in text and len(text) < 12_000


@pytest.mark.parametrize("form", FORMS.values())
def test_every_form_names_who_what_and_how_to_decide(form: Any) -> None:
    text = json.dumps(form(held(operation="delete", objects=("delete t",))))
    for part in ("a1", "planner", "alice@example.test", "DELETE FROM t", "deletions wait"):
        assert part in text


def test_slack_gets_blocks_within_its_limits_and_no_markup_of_the_agents() -> None:
    message = slack_form(held(statement=EVIL * 200, reason=EVIL * 5, agent=EVIL))
    assert message["text"].startswith("To be approved by 2 people: &lt;https://evil.test|click&gt;")
    assert "<" not in message["text"]
    header, rich = message["blocks"]
    assert header["text"]["type"] == "plain_text" and len(header["text"]["text"]) <= 150
    kinds = {node["type"] for node in walk(rich) if "type" in node}
    assert kinds == {"rich_text", "rich_text_list", "rich_text_section", "rich_text_preformatted", "text"}
    texts = [node["text"] for node in walk(rich) if node.get("type") == "text"]
    assert all(0 < len(text) <= 3000 for text in texts)
    assert len(json.dumps(message)) < 12_000


def test_teams_gets_a_card_within_its_limits_and_no_markup_of_the_agents() -> None:
    message = teams_form(held(statement=EVIL * 2000, parameters=("x", None), content="body"))
    (attachment,) = message["attachments"]
    assert (message["type"], attachment["contentType"]) == ("message", "application/vnd.microsoft.card.adaptive")
    card = attachment["content"]
    assert (card["type"], card["version"]) == ("AdaptiveCard", "1.4")
    assert {block["type"] for block in card["body"]} == {"RichTextBlock"}  # a TextBlock would read markdown
    assert all(run["type"] == "TextRun" and run["text"] for block in card["body"] for run in block["inlines"])
    assert len(json.dumps(message)) < 28_000


def test_an_action_without_words_is_shown_too() -> None:
    empty = held(statement="", operation="", objects=(), delegation=(), parameters=(), content="")
    for form in FORMS.values():
        assert all(node["text"] for node in walk(form(empty)) if node.get("type") in ("text", "TextRun"))
    assert "$2 = NULL" in json.dumps(slack_form(held(parameters=("x", None))))
