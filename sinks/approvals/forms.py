"""What a receiver is sent about an action that waits, in the form it takes. Pure.

`custody` is Custody's own JSON; `slack` a message with blocks for an incoming webhook; `teams` a message with an
Adaptive Card for a workflow's webhook. What an agent has chosen stands in elements that show text as it is, so that
it is neither a link, nor a mention, nor formatting.
"""

from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Final

from sinks.approvals.pending import HeldAction

MAX_SHOWN: Final = 2000
MAX_NAME: Final = 150
MAX_OBJECTS: Final = 10

Form = Callable[[HeldAction], dict[str, Any]]


def custody_form(held: HeldAction) -> dict[str, Any]:
    """`{"type": "approval.requested", "approval": {…}}`: the fields of HeldAction but those of the proxy."""
    fields = asdict(held)
    del fields["proxy_id"], fields["proxy_epoch"]
    fields["delegation"] = [{"actor": actor, "on_behalf_of": whom} for actor, whom in held.delegation]
    return {"type": "approval.requested", "approval": fields}


def slack_form(held: HeldAction) -> dict[str, Any]:
    """Blocks: a heading, the facts as a list, the statement, how to decide."""
    facts = [
        {
            "type": "rich_text_section",
            "elements": [_slack_text(f"{name}: ", bold=True), _slack_text(value)],
        }
        for name, value in facts_of(held)
    ]
    statement = {"type": "rich_text_preformatted", "elements": [_slack_text(statement_of(held))]}
    decide = {"type": "rich_text_preformatted", "elements": [_slack_text("\n".join(commands_of(held)))]}
    return {
        "text": _escape(title_of(held)),
        "blocks": [
            {"type": "header", "text": {"type": "plain_text", "text": title_of(held), "emoji": False}},
            {
                "type": "rich_text",
                "elements": [
                    {"type": "rich_text_list", "style": "bullet", "elements": facts},
                    statement,
                    decide,
                ],
            },
        ],
    }


def teams_form(held: HeldAction) -> dict[str, Any]:
    """An Adaptive Card 1.4 in a message: text runs only, which know no markup."""
    body: list[dict[str, Any]] = [_teams_block(_teams_run(title_of(held), weight="Bolder", size="Medium"))]
    for name, value in facts_of(held):
        body.append(_teams_block(_teams_run(f"{name}: ", weight="Bolder"), _teams_run(value)))
    body.append(_teams_block(_teams_run(statement_of(held), fontType="Monospace")))
    body.append(_teams_block(_teams_run("\n".join(commands_of(held)), fontType="Monospace")))
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": body,
    }
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [attachment]}


FORMS: Final[dict[str, Form]] = {"custody": custody_form, "slack": slack_form, "teams": teams_form}
"""Form -> what makes it. One more receiver's form = one line here and one in schemas/config.py."""


def title_of(held: HeldAction) -> str:
    people = f" by {held.approvers} people" if held.approvers > 1 else ""
    return cut(f"To be approved{people}: {held.reason}", MAX_NAME)


def facts_of(held: HeldAction) -> list[tuple[str, str]]:
    """Who, for whom, on what, until when."""
    chain = ", ".join(f"{actor} for {whom}" for actor, whom in held.delegation)
    objects = ", ".join(held.objects[:MAX_OBJECTS])
    found = [
        ("Approval", held.approval_id),
        ("Agent", held.agent),
        ("Principal", held.principal),
        ("Delegation", chain),
        ("Resource", f"{held.resource} ({held.protocol})"),
        ("Does", f"{held.operation}: {objects}" if objects else held.operation),
        ("Waits until", f"{datetime.fromtimestamp(held.expires_at / 1e6, UTC):%Y-%m-%d %H:%M:%S} UTC"),
        ("Session", held.session_id),
    ]
    return [(name, cut(value, MAX_NAME * 2)) for name, value in found if value]


def statement_of(held: HeldAction) -> str:
    """The statement with its parameters and content, cut. Never empty: no form takes an empty text."""
    parts = [held.statement]
    parts += [f"${number} = {'NULL' if value is None else value}" for number, value in enumerate(held.parameters, 1)]
    if held.content:
        parts.append(held.content)
    return cut("\n".join(parts), MAX_SHOWN) or "(no statement)"


def commands_of(held: HeldAction) -> list[str]:
    return [f"custody approvals approve {held.approval_id}", f"custody approvals deny {held.approval_id} --reason …"]


def cut(text: str, limit: int) -> str:
    """At most `limit` characters, saying that there was more."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _slack_text(text: str, *, bold: bool = False) -> dict[str, Any]:
    return {"type": "text", "text": text} | ({"style": {"bold": True}} if bold else {})


def _escape(text: str) -> str:
    """Slack's mrkdwn, without links and mentions."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _teams_run(text: str, **style: str) -> dict[str, Any]:
    return {"type": "TextRun", "text": text, **style}


def _teams_block(*runs: dict[str, Any]) -> dict[str, Any]:
    return {"type": "RichTextBlock", "inlines": list(runs)}
