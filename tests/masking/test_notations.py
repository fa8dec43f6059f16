"""Every detector's cases in the notations in which content is recorded: quoted again, escaped, in events and forms."""

import json
from collections.abc import Callable
from urllib.parse import quote

import pytest

from masking.catalog import load_detectors
from masking.payload import mask_payload
from tests.masking.helpers import masker

SHORTEST = 6
"""A shorter value may stand in the text around it."""


def escape_copy(text: str) -> str:
    for char, escaped in (("\\", "\\\\"), ("\n", "\\n"), ("\t", "\\t"), ("\r", "\\r")):
        text = text.replace(char, escaped)
    return text


def quote_array(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


NOTATIONS: dict[str, Callable[[str], str]] = {
    "as it is": lambda text: text,
    "JSON": lambda text: json.dumps({"note": text}),
    "JSON in a list": lambda text: json.dumps({"rows": [[1, text]]}),
    "JSON in JSON": lambda text: json.dumps({"body": json.dumps({"note": text})}),
    "server-sent event": lambda text: f"event: x\ndata: {json.dumps({'note': text})}\n\n",
    "COPY": lambda text: f"1\t{escape_copy(text)}\n",
    "CSV": lambda text: 'a,"' + text.replace('"', '""') + '",b\n',
    "SQL literal": lambda text: "SELECT length('" + text.replace("'", "''") + "')",
    "SQL dollar quotes": lambda text: f"SELECT length($t${text}$t$)",
    "SQL array": lambda text: '{"a","' + quote_array(text) + '"}',
    "URL": lambda text: f"GET /echo?note={quote(text, safe='')}",
    "HTML": lambda text: f"<p>{text}</p>",
    "error": lambda text: f'invalid input syntax for type integer: "{text}"',
}
PLACES = {
    "pgpass": "a line of its own is what tells it",
    "named-value": "a list below a name, and a part of a form, need their lines",
    "name-value-rows": "rows need their lines",
    "named-in-other-scripts": "rows below a name need their lines",
    "prose": "quotes after the value end the sentence",
}
"""Detectors that go by what stands around the value, so that other surroundings hide it: not in every notation."""


@pytest.mark.parametrize("notation", NOTATIONS)
def test_every_case_is_found_in_every_notation(notation: str) -> None:
    left = []
    for detector in load_detectors():
        if detector.name in PLACES and notation != "as it is":
            continue
        for case in detector.hits:
            data = NOTATIONS[notation](case.text).encode()
            shown = mask_payload(masker(), data, "", "json" if notation.startswith("JSON") else "text").text or ""
            secrets = [case.text[start:end] for start, end in case.spans if end - start >= SHORTEST]
            forms = [(secret, escape_copy(secret), quote_array(secret), quote(secret, safe="")) for secret in secrets]
            left += [(detector.name, each[0]) for each in forms if any(form in shown for form in each)]
    assert left == []


@pytest.mark.parametrize("notation", ["JSON", "JSON in a list", "server-sent event", "CSV", "SQL literal", "COPY"])
def test_no_miss_becomes_a_hit_by_its_notation(notation: str) -> None:
    touched = []
    for detector in load_detectors():
        for text in detector.misses:
            plain = {finding.label for finding in masker().mask_text(text).findings}
            data = NOTATIONS[notation](text).encode()
            found = mask_payload(masker(), data, "", "json" if notation.startswith("JSON") else "text").findings
            touched += [(detector.name, text) for finding in found if finding.label not in plain]
    assert touched == []
