"""Secrets Manager's contract: GetSecretValue over JSON 1.1, signed (SigV4), against a server of our own."""

import hmac
import sys
from hashlib import sha256
from typing import Any

import pytest

from ingest.secrets.aws import AwsSource
from schemas.errors import ConfigError, Unreachable
from schemas.secret_references import parse_reference
from schemas.secrets_config import Aws
from tests.support.json_server import JsonServer

WHOLE, FIELD = parse_reference("aws:prod/db"), parse_reference("aws:prod/db#password")


@pytest.fixture
def source(server: JsonServer, monkeypatch: pytest.MonkeyPatch) -> AwsSource:
    for name, value in (
        ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"), ("AWS_SECRET_ACCESS_KEY", "the-signing-key"), ("AWS_CONFIG_FILE", "none"),
        ("AWS_SHARED_CREDENTIALS_FILE", "none"), ("AWS_EC2_METADATA_DISABLED", "true"),
    ):  # fmt: skip
        monkeypatch.setenv(name, value)
    return AwsSource(Aws(region="eu-west-1", endpoint=server.url), 2.0)


def test_the_whole_text_or_a_field_by_a_signed_request(server: JsonServer, source: AwsSource) -> None:
    server.answers["POST /"] = (200, {"Name": "prod/db", "SecretString": '{"password": "pg-one"}'})
    assert source.fetch(FIELD).value == "pg-one"
    assert source.fetch(WHOLE).value == '{"password": "pg-one"}'
    asked = server.asked[0]
    assert asked.headers["x-amz-date"] and "/eu-west-1/secretsmanager/aws4_request" in asked.headers["authorization"]
    assert asked.headers["x-amz-target"] == "secretsmanager.GetSecretValue" and asked.json() == {"SecretId": "prod/db"}
    assert asked.headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/")
    assert "the-signing-key" not in repr(asked)


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        ((400, {"__type": "ResourceNotFoundException", "message": "x"}), ConfigError, "ResourceNotFoundException"),
        ((400, {"__type": "com.amazonaws#AccessDeniedException"}), ConfigError, ": AccessDeniedException"),
        ((400, {"__type": "\x1b[2J"}), ConfigError, ": 400"),
        ((400, {"__type": "ThrottlingException"}), Unreachable, "Throttling"),
        ((500, {"__type": "InternalServiceError"}), Unreachable, "Internal"),
        ((200, {"SecretBinary": "eA=="}), ConfigError, "not text"),
        ((200, {"SecretString": "plain"}), ConfigError, "no JSON object"),
    ],
)
def test_failures_say_whose_they_are(
    server: JsonServer, source: AwsSource, answer: tuple[int, Any], error: type[Exception], words: str
) -> None:
    server.answers["POST /"] = answer
    with pytest.raises(error, match=words):
        source.fetch(FIELD)


def test_one_that_is_away_is_unreachable(source: AwsSource) -> None:
    with pytest.raises(Unreachable):
        AwsSource(Aws(region="eu-west-1", endpoint="http://127.0.0.1:1"), 1.0).fetch(WHOLE)


def test_without_awscrt_it_says_what_to_install(source: AwsSource, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "awscrt.auth", None)
    with pytest.raises(ConfigError, match=r"custody\[aws\]"):
        source.fetch(WHOLE)


def test_without_a_region_it_says_so(source: AwsSource) -> None:
    with pytest.raises(ConfigError, match="region"):
        AwsSource(Aws(), 1.0).fetch(WHOLE)


def test_the_signature_is_over_what_is_sent(server: JsonServer, source: AwsSource) -> None:
    """Worked out again as the reference of Signature Version 4 says."""
    server.answers["POST /"] = (200, {"SecretString": "x"})
    source.fetch(WHOLE)
    sent = server.asked[0]
    scope, signed, signature = (part.partition("=")[2] for part in sent.headers["authorization"].split(", "))
    names = signed.split(";")
    assert {"host", "x-amz-date", "x-amz-target"} <= set(names)
    lines = [f"{name}:{sent.headers[name]}" for name in names]
    canonical = "\n".join(["POST", "/", "", *lines, "", signed, sha256(sent.body).hexdigest()])
    date, region, service, last = scope.split("/")[1:]
    key = b"AWS4the-signing-key"
    for part in (date, region, service, last):
        key = hmac.digest(key, part.encode(), "sha256")
    stamp = sent.headers["x-amz-date"]
    text = "\n".join(
        ["AWS4-HMAC-SHA256", stamp, f"{date}/{region}/{service}/{last}", sha256(canonical.encode()).hexdigest()]
    )
    assert hmac.new(key, text.encode(), "sha256").hexdigest() == signature
