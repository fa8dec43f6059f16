"""Secret Manager's REST contract (projects.secrets.versions.access), and the metadata server's."""

from base64 import b64encode
from typing import Any

import pytest

from ingest.secrets.gcp import TOKEN_PATH, GcpSource
from schemas.errors import ConfigError, Unreachable
from schemas.secret_references import parse_reference
from schemas.secrets_config import Gcp
from tests.support.json_server import Asked, JsonServer

LATEST = parse_reference("gcp:project-1/db")
FIELD = parse_reference("gcp:project-1/db/7#password")
PATH = "GET /v1/projects/project-1/secrets/db/versions/{}:access"


def answer(text: bytes) -> tuple[int, Any]:
    return 200, {"name": "projects/1/secrets/db/versions/7", "payload": {"data": b64encode(text).decode()}}


def metadata(asked: Asked) -> tuple[int, Any]:
    assert asked.headers["metadata-flavor"] == "Google"
    return 200, {"access_token": "ya29.token", "expires_in": 100, "token_type": "Bearer"}


def source(server: JsonServer, now: list[float] | None = None) -> GcpSource:
    settings = Gcp(url=server.url, metadata_host=server.url.removeprefix("http://"))
    server.answers.setdefault(f"GET {TOKEN_PATH}", metadata)
    return GcpSource(settings, 2.0, (lambda: now[0]) if now is not None else lambda: 0.0)


def test_a_version_or_the_latest_whole_or_a_field(server: JsonServer) -> None:
    server.answers[PATH.format("latest")] = answer(b"whole text")
    server.answers[PATH.format("7")] = answer(b'{"password": "pg-one"}')
    google = source(server)
    assert google.fetch(LATEST).value == "whole text"
    assert google.fetch(FIELD).value == "pg-one"
    assert server.asked[-1].headers["authorization"] == "Bearer ya29.token"


def test_a_token_is_used_while_it_lasts(server: JsonServer) -> None:
    now = [0.0]
    server.answers[PATH.format("latest")] = answer(b"x")
    google = source(server, now)
    for at in (0.0, 69.0, 71.0):
        now[0] = at
        google.fetch(LATEST)
    assert [asked.path for asked in server.asked].count(TOKEN_PATH) == 2


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ((403, {}), ConfigError, "permission denied"),
        ((404, {}), ConfigError, "no such secret"),
        ((503, {}), Unreachable, "503"),
        ((200, {"payload": {"data": "%"}}), ConfigError, "not text"),
        ((200, {"payload": {}}), ConfigError, "not text"),
        ((200, {}), ConfigError, "no text"),
    ],
)
def test_failures_say_whose_they_are(
    server: JsonServer, given: tuple[int, Any], error: type[Exception], words: str
) -> None:
    server.answers[PATH.format("latest")] = given
    with pytest.raises(error, match=words) as caught:
        source(server).fetch(LATEST)
    assert "ya29" not in str(caught.value)


@pytest.mark.parametrize("token", [{}, {"access_token": 5, "expires_in": 1}, {"access_token": "x", "expires_in": "1"}])
def test_an_answer_that_is_no_token(server: JsonServer, token: dict[str, Any]) -> None:
    server.answers[f"GET {TOKEN_PATH}"] = (200, token)
    with pytest.raises(Unreachable, match="no access token"):
        source(server).fetch(LATEST)
