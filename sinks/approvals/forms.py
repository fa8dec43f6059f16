"""What a receiver is sent about an action that waits, or a decision that it is to know of, in the form it takes. Pure.

`custody` is Custody's own JSON; `slack` a message with blocks for an incoming webhook; `teams` a message with an
Adaptive Card for a workflow's webhook. What an agent has chosen stands in elements that show text as it is, so that
it is neither a link, nor a mention, nor formatting.
"""

from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Final

from sinks.approvals.notices import Notice
from sinks.approvals.pending import HeldAction

MAX_SHOWN: Final = 2000
MAX_NAME: Final = 150
MAX_OBJECTS: Final = 10
VERDICTS: Final = {"deny": "Refused", "allow": "Allowed", "mask": "Allowed, masked"}

Item = HeldAction | Notice
Form = Callable[[Item], dict[str, Any]]


def custody_form(item: Item) -> dict[str, Any]:
    """`{"type": "approval.requested", "approval": {…}}`: the fields of HeldAction but those of the proxy; or
    `{"type": "policy.notice", "notice": {…}}`: the fields of Notice."""
    fields = asdict(item)
    fields["delegation"] = [{"actor": actor, "on_behalf_of": whom} for actor, whom in item.delegation]
    if isinstance(item, Notice):
        return {"type": "policy.notice", "notice": {"id": item.id, **fields}}
    del fields["proxy_id"], fields["proxy_epoch"]
    return {"type": "approval.requested", "approval": fields}


def slack_form(held: Item) -> dict[str, Any]:
    """Blocks: a heading, the facts as a list, the statement, how to decide."""
    facts = [
        {
            "type": "rich_text_section",
            "elements": [_slack_text(f"{name}: ", bold=True), _slack_text(value)],
        }
        for name, value in facts_of(held)
    ]
    statement = {"type": "rich_text_preformatted", "elements": [_slack_text(statement_of(held))]}
    commands = {"type": "rich_text_preformatted", "elements": [_slack_text("\n".join(commands_of(held)))]}
    return {
        "text": _escape(title_of(held)),
        "blocks": [
            {"type": "header", "text": {"type": "plain_text", "text": title_of(held), "emoji": False}},
            {
                "type": "rich_text",
                "elements": [
                    {"type": "rich_text_list", "style": "bullet", "elements": facts},
                    statement,
                    commands,
                ],
            },
        ],
    }


def teams_form(held: Item) -> dict[str, Any]:
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


def title_of(held: Item) -> str:
    if isinstance(held, Notice):
        return cut(f"{VERDICTS.get(held.verdict, held.verdict)}: {held.reason or held.operation}", MAX_NAME)
    people = f" by {held.approvers} people" if held.approvers > 1 else ""
    return cut(f"To be approved{people}: {held.reason}", MAX_NAME)


def facts_of(held: Item) -> list[tuple[str, str]]:
    """Who, for whom, on what, when or until when."""
    chain = ", ".join(f"{actor} for {whom}" for actor, whom in held.delegation)
    objects = ", ".join(held.objects[:MAX_OBJECTS])
    is_notice = isinstance(held, Notice)
    found = [
        ("Policies", ", ".join(held.policies)) if is_notice else ("Approval", held.id),
        ("Agent", held.agent),
        ("Principal", held.principal),
        ("Delegation", chain),
        ("Resource", f"{held.resource} ({held.protocol})"),
        ("Does", f"{held.operation}: {objects}" if objects else held.operation),
        ("At", _time(held.at)) if isinstance(held, Notice) else ("Waits until", _time(held.expires_at)),
        ("Others alike since the last message", str(held.untold or "") if isinstance(held, Notice) else ""),
        ("Session", held.session_id),
    ]
    return [(name, cut(value, MAX_NAME * 2)) for name, value in found if value]


def _time(at: int) -> str:
    return f"{datetime.fromtimestamp(at / 1e6, UTC):%Y-%m-%d %H:%M:%S} UTC"


def statement_of(held: Item) -> str:
    """The statement with its parameters and content, cut. Never empty: no form takes an empty text."""
    parts = [held.statement]
    if isinstance(held, Notice):
        return cut(held.statement, MAX_SHOWN) or "(no statement)"
    parts += [f"${number} = {'NULL' if value is None else value}" for number, value in enumerate(held.parameters, 1)]
    if held.content:
        parts.append(held.content)
    return cut("\n".join(parts), MAX_SHOWN) or "(no statement)"


def commands_of(held: Item) -> list[str]:
    if isinstance(held, Notice):
        return [f"custody replay {held.session_id}"]
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
