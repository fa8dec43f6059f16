import json
import time

import pytest

from masking.payload import mask_payload
from masking.siblings import find_sibling_values, signs_in
from tests.masking.helpers import masker

JWK = {
    "kty": "EC",
    "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    "d": "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI",
}
A, B = "aHVudGVyMg==", "aHVudGVyMw=="
HITS = {
    "pair": ({"name": "DB_PASSWORD", "value": "hunter2hunter2"}, ["hunter2hunter2"]),
    "pair, the other way round": ({"value": "hunter2hunter2", "name": "DB_PASSWORD"}, ["hunter2hunter2"]),
    "parameter": ({"Name": "/app/api_key", "Type": "SecureString", "Value": "9f8s7df98sd7fQ"}, ["9f8s7df98sd7fQ"]),
    "object": ({"password": {"value": "hunter2hunter2", "n": 1}}, ["hunter2hunter2"]),
    "item of DynamoDB": ({"Item": {"api_key": {"S": "9f8s7df98sd7fQ"}}}, ["9f8s7df98sd7fQ"]),
    "stack": ({"ParameterKey": "DbPassword", "ParameterValue": "hunter2x"}, ["hunter2x"]),
    "secret object": ({"kind": "Secret", "data": {"a": A, "b": B}}, [A, B]),
    "secret object, keys sorted": ({"apiVersion": "v1", "data": {"a": A}, "kind": "Secret"}, [A]),
    "list": ({"kind": "SecretList", "items": [{"data": {"a": A}}]}, [A]),
    "web key": (JWK, [JWK["d"]]),
}  # fmt: skip
MISSES = [
    {"name": "DB_HOST", "value": "db.internal"},
    {"region": {"value": "eu-west-1"}},
    {"password": {"type": "string", "default": ""}},
    {"name": "DB_PASSWORD", "value": "${PASSWORD}"},
    {"kind": "ConfigMap", "data": {"a": A}},
    {"kind": "SecretStore", "data": {"a": A}},
    {"kty": "EC", "x": JWK["x"]},
    {"items": [{"name": "password", "type": "string"}, {"name": "x", "value": "hunter2hunter2"}]},
]


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("case", HITS)
def test_values_told_by_their_neighbours(case: str, indent: int | None) -> None:
    document, secrets = HITS[case]
    for text in (json.dumps(document, indent=indent), json.dumps({"note": json.dumps(document, indent=indent)})):
        data = text.encode()
        assert [data[start:end].decode() for start, end, _ in find_sibling_values(data)] == secrets
        masked = mask_payload(masker(), data).text
        assert masked is not None and not any(secret in masked for secret in secrets)
        json.loads(masked)
        assert mask_payload(masker(), masked.encode()).text == masked


@pytest.mark.parametrize("document", MISSES)
def test_what_no_neighbour_tells(document: object) -> None:
    assert find_sibling_values(json.dumps(document).encode()) == []


NAMED, HELD, SECRET, KEY = 1, 2, 4, 8


@pytest.mark.parametrize(
    ("text", "signs"),
    [
        ('{"name": "balance, open, of, ok, So", "rows": [{"a": {"b": 1}}]}', 0),
        ("the default", NAMED),
        ("content", NAMED),
        ('"Value"', NAMED),
        ("VALUE", NAMED),
        ("alu", 0),
        ("lue", 0),
        ("onten", 0),
        ('{"a": \n {"value": "b"}}', NAMED | HELD),
        ('{"a":{"n": 1, "s": "b"}}', HELD),
        ('[{"s": "b"}]', 0),
        ("Secret", SECRET),
        ('{"kty"', KEY),
        ("kty", 0),
    ],
)
def test_what_is_worth_a_search(text: str, signs: int) -> None:
    assert signs_in(text.encode()) == signs


def test_what_is_told_has_the_token_that_it_has_elsewhere_and_is_reported() -> None:
    told = mask_payload(masker(), b'{"name": "DB_PASSWORD", "value": "hunter2hunter2", "mail": "bob@example.com"}')
    plain = masker().mask_named("password", "hunter2hunter2")
    assert [(f.label, f.place) for f in told.findings] == [("password", "$"), ("email", "$.mail")]
    assert told.findings[0].token == plain.findings[0].token


HOSTILE = [
    '"name":"', '"value":"', '"a":"name","b":"c",', '"data":{"', '"kty""d":"', '"name":"a" ', "\\" * 7 + '"',
    "\\n" * 50 + ",",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
def test_time_is_linear_in_hostile_text(text: str) -> None:
    began = time.process_time()
    find_sibling_values((text * (400_000 // len(text))).encode() + b'"kind":"Secret" "kty" value')
    assert time.process_time() - began < 4.0
