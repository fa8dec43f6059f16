"""Paths of HTTP APIs that call a model. Pure.

OpenAI (also as others offer it, Azure included), Anthropic, Gemini and Vertex AI, Amazon Bedrock, Ollama, Cohere.
"""

import re
from functools import lru_cache
from typing import Final
from urllib.parse import unquote

MAX_NAME_CHARS: Final = 200
MAX_PATH_CHARS: Final = 4096
_ENDS: Final = tuple(
    re.compile(rf"(?i){pattern}\Z")
    for pattern in (
        r"/deployments/(?P<model>[^/]{1,200})/(?:chat/completions|completions|embeddings|images/generations|audio/\w{1,40})",
        r"/models/(?P<model>[^/:]{1,200}):(?:(?:stream)?generatecontent|embedcontent|batchembedcontents|generatemessage"
        r"|generatetext|predict|serverstreamingpredict|rawpredict|streamrawpredict)",
        r"/model/(?P<model>.{1,200})/(?:invoke|invoke-with-response-stream|invoke-with-bidirectional-stream|converse"
        r"|converse-stream)",
        r"/chat/completions",
        r"/v\d{1,3}/(?:responses|completions|embeddings|messages|complete|rerank|images/(?:generations|edits|variations)"
        r"|audio/(?:speech|transcriptions|translations))",
        r"/api/(?:chat|generate|embed|embeddings)",
        r"/v2/chat",
    )
)


def is_model_path(path: str) -> bool:
    """Whether a request with content to this path calls a model. A path that is too long to be looked at does not."""
    return _find(path) is not None


def model_of_path(path: str) -> str:
    """The model that a path names; "" where it names none."""
    return _find(path) or ""


@lru_cache(4096)
def _find(path: str) -> str | None:
    plain = _plain(path[:MAX_PATH_CHARS].split("?", 1)[0].split("#", 1)[0])
    for pattern in _ENDS:
        found = pattern.search(plain)
        if found is not None:
            return read_name(found.groupdict().get("model"))
    return None


def _plain(path: str) -> str:
    """A path as servers read it: decoded once, without empty and dot parts."""
    parts: list[str] = []
    for part in unquote(path).split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part not in ("", "."):
            parts.append(part)
    return "".join(f"/{part}" for part in parts)


def read_name(value: object) -> str:
    """A model's or tool's name; "" for what can be none."""
    is_name = isinstance(value, str) and len(value) <= MAX_NAME_CHARS and value.isprintable()
    return str(value) if is_name else ""
