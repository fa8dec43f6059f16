"""What agents say of the run and step that an action belongs to. Claims only: nothing here is checked by anybody.

In SQL they stand in a comment at the statement's very end, in the form of sqlcommenter:
`SELECT 1 /*traceparent='00-…-01',custody_plan_step='2'*/`.
"""

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import unquote

from policy.documents import messages_of

MAX_LINKS: Final = 16
MAX_LINK_CHARS: Final = 512
MAX_COMMENT_CHARS: Final = 4096
MAX_NAME_CHARS: Final = 128
STEP: Final = "plan_step"
"""The claim that policies know as `context.step`: `custody_plan_step` in a comment, `X-Custody-Plan-Step` over HTTP,
`custody/plan_step` in the `_meta` of an MCP message."""
TRACE: Final = frozenset(("traceparent", "tracestate", "baggage"))
CUSTODY_PREFIX: Final = "custody_"
PREFIX: Final = "sqlcommenter."
"""Before keys that are neither W3C's nor ours, so that they are taken for none of these."""
PAIR: Final = re.compile(r"\s*([\w.~%-]{1,128})\s*=\s*'((?:[^'\\]|\\.)*+)'\s*(?:,|\Z)", re.ASCII | re.DOTALL)
ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)


def read_sql_claims(statement: str) -> dict[str, str]:
    """The claims in the comment that ends a statement; a comment in any other form claims nothing.

    Time is linear in the comment's length, which counts only up to 4,096 characters.
    """
    text = statement.rstrip("; \t\r\n")
    if not text.endswith("*/"):
        return {}
    start = text.rfind("/*", max(0, len(text) - MAX_COMMENT_CHARS))
    if start < 0:
        return {}
    comment = text[start + 2 : -2]
    links: dict[str, str] = {}
    pos = 0
    while pos < len(comment):
        match = PAIR.match(comment, pos)
        if match is None:
            return {}
        if len(links) < MAX_LINKS:
            links[_name_of(unquote(match[1]))] = cut_claim(unquote(ESCAPE.sub(r"\1", match[2])))
        pos = match.end()
    return links


def read_meta_claims(document: Any) -> dict[str, str]:
    """The claims in an MCP message's `params._meta` (of a batch, its first with some): W3C's three by their names, and
    texts under `custody_…` or `custody/…`. Nothing where there are none, or it is no message."""
    for each in messages_of(document):
        params = each.get("params") if isinstance(each, dict) else None
        meta = params.get("_meta") if isinstance(params, dict) else None
        links = _read_meta(meta) if isinstance(meta, dict) else {}
        if links:
            return links
    return {}


def _read_meta(meta: Mapping[str, object]) -> dict[str, str]:
    links: dict[str, str] = {}
    for key, value in meta.items():
        plain = key.replace("custody/", CUSTODY_PREFIX, 1) if key.startswith("custody/") else key
        if isinstance(value, str) and (plain in TRACE or plain.startswith(CUSTODY_PREFIX)) and len(links) < MAX_LINKS:
            links[_name_of(plain)[:MAX_NAME_CHARS]] = cut_claim(value)
    return links


def step_of(claims: Mapping[str, str]) -> str:
    """The step of its plan that an agent claims to be at; empty when it claims none."""
    return claims.get(STEP, "")


def cut_claim(text: str) -> str:
    """At a blank, or all of it: half a secret is none that masking knows."""
    return text if len(text) <= MAX_LINK_CHARS else text[:MAX_LINK_CHARS].rpartition(" ")[0]


def _name_of(key: str) -> str:
    if key in TRACE:
        return key
    is_ours = key.startswith(CUSTODY_PREFIX) and len(key) > len(CUSTODY_PREFIX)
    return key[len(CUSTODY_PREFIX) :] if is_ours else PREFIX + key
