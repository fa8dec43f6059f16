"""Masking of one batch: every text that came from outside, wherever it stands, by one scan over all of them.

Works on a batch's decoded Avro fields, in place. Who acted (principal, agent, delegation, resource) is identity given
by Custody's own credentials and stays; so do who approved, ids and numbers. Pure.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from masking import names
from masking.engine import Masker
from masking.model import Finding, MaskedText, summarize
from masking.payload import mask_payload
from masking.structured import mask_headers
from processors.tables import Table, mask_tables
from processors.walk import STRUCTURED

# A refused login's credential id is whatever somebody claimed.
CONTEXT_TEXTS: Final = ("run_id", "client", "tls", "upstream", "credential_id")
EVENT_TEXTS: Final = ("statement", "fingerprint", "status", "error", "operation")
EVENT_MAPS: Final = ("attributes", "links")
EVENT_LISTS: Final = ("parameters", "objects")
_EDGE: Final = b"\0"  # what the prefilter takes for the end of a text
_APPROVALS: Final = frozenset({"approval.requested", "approval.decided"})
_APPROVAL_FACTS: Final = ("approval.id", "approval.digest", "approval.approver")
_COOKIES: Final = frozenset({"cookie", "set-cookie"})

MAX_NAMES: Final = 4096
MAX_KNOWN_TEXTS: Final = 16_384
MAX_KNOWN_CHARS: Final = 64
"""Bounds of the texts that are remembered for having nothing to mask: words of protocols, names, objects."""

Hits = Mapping[str, MaskedText]


@dataclass(slots=True, frozen=True)
class Seen:
    """What a look at payloads told: the indices of those that may have to change, and what is made of tables."""

    payloads: Set[int]
    tables: Mapping[bytes, Table]


class Redactor:
    """Masks batches with one masker."""

    def __init__(self, masker: Masker) -> None:
        self._masker = masker
        self._clean_names: set[str] = set()
        self._clean_texts: set[str] = set()

    @property
    def rule_version(self) -> str:
        return self._masker.rule_version

    def redact(self, batch: dict[str, Any]) -> bool:
        """Mask a batch's fields in place. False: nothing had to change."""
        return self.redact_events(batch) is not None

    def redact_events(self, batch: dict[str, Any], seen: Seen | None = None) -> set[int] | None:
        """Mask a batch's fields in place: the indices of the events that changed. None: not even a context did.

        `seen`: what is known of the payloads already, by the index of their event in this batch.
        """
        sessions, events = batch["sessions"], [item["event"] for item in batch["events"]]
        texts: set[str] = set()
        keys: set[str] = set()
        for record in sessions:
            _collect_context(record, texts, keys)
        for event in events:
            _collect_event(event, texts, keys)
        if seen is None:
            seen = self._look_at(events)
        hits = self._hits(texts)
        named = frozenset(key for key in keys if is_telling(key) or key in hits)
        if not (hits or named or seen.payloads):
            return None
        return self._apply(batch, hits, named, seen)

    def mask_text(self, text: str) -> str:
        """One text, e.g. a claim of somebody unknown."""
        return self._masker.mask_text(text).text

    def find_candidates(self, contents: Sequence[bytes]) -> list[int]:
        """Which of the texts may have to change by what they hold, rising. A name beside them may tell more."""
        return self._masker.find_candidates(contents)

    def find_secrets(self, texts: Sequence[str]) -> list[int]:
        """Which of the texts have to change by what they hold, rising."""
        return [index for index, found in enumerate(self._masker.mask_batch(texts)) if found is not None]

    def mask_tables(self, contents: Sequence[bytes]) -> dict[bytes, Table]:
        """What is made of `rows` payloads, by one scan over all their values; nothing of what is no table."""
        tables = mask_tables(contents, self._masker, self._mask_names)
        return {content: table for content, table in zip(contents, tables, strict=True) if table is not None}

    def _hits(self, texts: set[str]) -> Hits:
        known = self._clean_texts
        listed = list(texts - known)
        outcomes = list(zip(listed, self._masker.mask_batch(listed), strict=True))
        if len(known) >= MAX_KNOWN_TEXTS:
            known.clear()
        known.update([text for text, outcome in outcomes if outcome is None and len(text) <= MAX_KNOWN_CHARS])
        return {text: outcome for text, outcome in outcomes if outcome is not None and outcome.findings}

    def _look_at(self, events: list[dict[str, Any]]) -> Seen:
        places = [index for index, event in enumerate(events) if event["payload"]]
        suspects = [places[found] for found in self._suspects([events[place] for place in places])]
        tables = [events[index]["payload"] for index in suspects if events[index]["payload_type"] == "rows"]
        return Seen(frozenset(suspects), self.mask_tables(tables))

    def _suspects(self, events: list[dict[str, Any]]) -> list[int]:
        """Those whose payload may have to change, by one scan over all if all are text of a known structure."""
        contents = [event["payload"] for event in events]
        if all(event["payload_type"] in STRUCTURED for event in events) and _is_utf8(_EDGE.join(contents)):
            return self._masker.find_candidates(contents)
        return [index for index, event in enumerate(events) if self._may_change(event)]

    def _is_clean(self, content: bytes) -> bool:
        return _is_utf8(content) and not self._masker.has_candidates(content)

    def _may_change(self, event: dict[str, Any]) -> bool:
        return event["payload_type"] not in STRUCTURED or not self._is_clean(event["payload"])

    def _apply(self, batch: dict[str, Any], hits: Hits, named: frozenset[str], seen: Seen) -> set[int] | None:
        changed: set[int] = set()
        findings_of = [self._mask_context(context, hits, named) for context in batch["sessions"]]
        for index, item in enumerate(batch["events"]):
            event = item["event"]
            findings = self._mask_event(event, hits, named)
            if event["kind"] == "session.opened" and 0 <= item["session"] < len(findings_of):
                findings += findings_of[item["session"]]
            if findings:
                event["masked"] += self._entries(findings)
                changed.add(index)
            if index in seen.payloads and self._mask_payload(event, seen.tables):
                changed.add(index)
        return changed if changed or any(findings_of) else None

    def _mask_context(self, context: dict[str, Any], hits: Hits, named: frozenset[str]) -> list[Finding]:
        findings: list[Finding] = []
        for name in CONTEXT_TEXTS:
            context[name] = _swap(context[name], hits, f"session.{name}", findings)
        context["attributes"] = self._mask_map(context["attributes"], hits, named, "session.attributes", findings)
        return findings

    def _mask_event(self, event: dict[str, Any], hits: Hits, named: frozenset[str]) -> list[Finding]:
        findings: list[Finding] = []
        for name in EVENT_TEXTS:
            if event[name] in hits:
                event[name] = _swap(event[name], hits, name, findings)
        for name in EVENT_LISTS:
            values = event[name]
            if values and not hits.keys().isdisjoint(values):
                event[name] = [_swap(value, hits, f"{name}[{i}]", findings) for i, value in enumerate(values)]
        for name in EVENT_MAPS:
            if event[name]:
                own = _own_facts(event) if name == "attributes" else {}
                told = {key: value for key, value in event[name].items() if key not in own} if own else event[name]
                masked = self._mask_map(told, hits, named, name, findings)
                event[name] = masked | own if own else masked
        return findings

    def _mask_map(
        self, values: dict[str, str], hits: Hits, named: frozenset[str], place: str, findings: list[Finding]
    ) -> dict[str, str]:
        if named.isdisjoint(values) and hits.keys().isdisjoint(values.values()):
            return values
        masked: dict[str, str] = {}
        for key, value in values.items():
            if key in named and is_telling(key):
                value = self._mask_named(key, value, f"{place}.{key}", findings)
            masked[_swap(key, hits, place, findings)] = _swap(value, hits, f"{place}.{key}", findings)
        return masked

    def _mask_named(self, key: str, value: str, place: str, findings: list[Finding]) -> str:
        ((_, text),), found = mask_headers(self._masker, [(_last_name(key), value)])
        findings.extend(_placed(found, place))
        return text

    def _mask_payload(self, event: dict[str, Any], tables: Mapping[bytes, Table]) -> bool:
        before, kind = event["payload"], event["payload_type"]
        table = tables.get(before) if kind == "rows" else None
        text, findings = (table.as_text(), table.findings) if table else self._masked_content(before, kind)
        if text is None:  # nothing of it may be kept but its count and keyed digest
            event["payload"], event["payload_type"], event["is_truncated"] = b"", "binary", True
            return True
        event["payload"] = text.encode("utf-8", "replace")
        if kind not in STRUCTURED:
            event["payload_type"] = "text"
        entries = self._entries(_placed(findings, "payload"))
        event["masked"] += entries
        return bool(entries or event["payload"] != before or kind != event["payload_type"])

    def _masked_content(self, content: bytes, kind: str) -> tuple[str | None, Iterable[Finding]]:
        is_cut = kind == "rows"  # or not what its type says
        outcome = mask_payload(self._masker, content, "rows" if is_cut else "", "json" if is_cut else kind)
        return outcome.text, outcome.findings

    def _mask_names(self, texts: list[str]) -> list[MaskedText | None]:
        """Names of columns and places: mostly the same few. Those without a hit are remembered, bounded."""
        known = self._clean_names
        if known.issuperset(texts):
            return [None] * len(texts)
        outcomes = self._masker.mask_batch(texts)
        if len(known) >= MAX_NAMES:
            known.clear()
        known.update(text for text, found in zip(texts, outcomes, strict=True) if found is None and len(text) < 256)
        return outcomes

    def _entries(self, findings: Iterable[Finding]) -> list[dict[str, Any]]:
        """Findings by place. A place may be named by the agent, too: a column, a key, a header."""
        by_place: dict[str, list[Finding]] = {}
        for finding in findings:
            by_place.setdefault(finding.place, []).append(finding)
        places = list(by_place)
        shown = [
            outcome.text if outcome else place for place, outcome in zip(places, self._mask_names(places), strict=True)
        ]
        return [
            {"label": label, "count": count, "token": token, "place": place}
            for place, found in zip(shown, by_place.values(), strict=True)
            for label, count, token in summarize(found)
        ]


def _own_facts(event: dict[str, Any]) -> dict[str, str]:
    """What an event about an approval says in Custody's own words: which one it is, and who decided."""
    if event["kind"] not in _APPROVALS:
        return {}
    attributes: dict[str, str] = event["attributes"]
    return {key: attributes[key] for key in _APPROVAL_FACTS if key in attributes}


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


def _collect_context(context: dict[str, Any], texts: set[str], keys: set[str]) -> None:
    texts.update(context[name] for name in CONTEXT_TEXTS)
    texts.update(context["attributes"].values())
    keys.update(context["attributes"])
    texts.update(context["attributes"])


def _collect_event(event: dict[str, Any], texts: set[str], keys: set[str]) -> None:
    """The hot loop: spelled out."""
    add = texts.add
    add(event["statement"])
    add(event["fingerprint"])
    add(event["status"])
    add(event["error"])
    add(event["operation"])
    if attributes := event["attributes"]:
        texts.update(attributes.values())
        texts.update(attributes)
        keys.update(attributes)
    if links := event["links"]:
        texts.update(links.values())
        texts.update(links)
        keys.update(links)
    if event["objects"]:
        texts.update(event["objects"])
    if event["parameters"]:
        texts.update(value for value in event["parameters"] if value)


def _swap(value: str | None, hits: Hits, place: str, findings: list[Finding]) -> Any:
    outcome = hits.get(value) if value else None
    if outcome is None:
        return value
    findings.extend(_placed(outcome.findings, place))
    return outcome.text


def _placed(findings: Iterable[Finding], place: str) -> Iterator[Finding]:
    for finding in findings:
        where = f"{place}:{finding.place}" if finding.place else place
        yield Finding(finding.label, finding.token, finding.start, finding.end, where, finding.layers)


def _last_name(key: str) -> str:
    """`request.header.cookie` is the header `cookie`."""
    return key.rpartition(".")[2]


@lru_cache(maxsize=4096)
def is_telling(key: str) -> bool:
    """Whether a key of attributes or links says that its value is secret."""
    last = _last_name(key)
    return last.lower() in _COOKIES or names.label_of(last) is not None
