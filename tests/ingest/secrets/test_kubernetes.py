"""The API server's contract: GET /api/v1/namespaces/{namespace}/secrets/{name}, data in base64."""

from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

from ingest.secrets.kubernetes import KubernetesSource
from schemas.errors import ConfigError, Unreachable
from schemas.secret_references import parse_reference
from schemas.secrets_config import Kubernetes
from tests.support.json_server import JsonServer

REFERENCE = parse_reference("k8s:agents/db-login#password")
PATH = "GET /api/v1/namespaces/agents/secrets/db-login"


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text("pod-token-1\n")
    return path


def source(server: JsonServer, token_file: Path) -> KubernetesSource:
    return KubernetesSource(Kubernetes(url=server.url, token_file=str(token_file), ca_file=""), 2.0)


def test_a_key_of_a_secret_with_the_token_of_now(server: JsonServer, token_file: Path) -> None:
    server.answers[PATH] = (200, {"kind": "Secret", "data": {"password": b64encode(b"pg-one").decode()}})
    cluster = source(server, token_file)
    assert cluster.fetch(REFERENCE).value == "pg-one"
    token_file.write_text("pod-token-2")
    cluster.fetch(REFERENCE)
    sent = [asked.headers["authorization"] for asked in server.asked]
    assert sent == ["Bearer pod-token-1", "Bearer pod-token-2"]


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        ((401, {}), ConfigError, "not accepted"),
        ((403, {"message": "forbidden"}), ConfigError, "permission denied"),
        ((404, {}), ConfigError, "no such secret"),
        ((500, {}), Unreachable, "500"),
        ((200, {"data": {"other": "eA=="}}), ConfigError, "no text"),
        ((200, {"data": None}), ConfigError, "no text"),
        ((200, {"data": {"password": "%%%"}}), ConfigError, "not text"),
        ((200, {"data": {"password": b64encode(b"\xff\xfe").decode()}}), ConfigError, "not text"),
        ((200, {"data": {"password": ""}}), ConfigError, "no text"),
    ],
)
def test_failures_say_whose_they_are_and_no_token(
    server: JsonServer, token_file: Path, answer: tuple[int, Any], error: type[Exception], words: str
) -> None:
    server.answers[PATH] = answer
    with pytest.raises(error, match=words) as caught:
        source(server, token_file).fetch(REFERENCE)
    assert "pod-token" not in str(caught.value)


def test_without_a_token_nothing_is_asked(server: JsonServer, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="token_file"):
        source(server, tmp_path / "nowhere").fetch(REFERENCE)
    assert server.asked == []
