import pytest

from schemas.config import parse_settings
from schemas.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("vault: {url: 'http://vault.example'}", "https"),
        ("vault: {url: 'https://v', auth: kubernetes}", "role"),
        ("vault: {token: hunter2}", "vault.token"),
        ("kubernetes: {url: 'http://k8s.example'}", "https"),
        ("cache_s: 0", "cache_s"),
    ],
)
def test_faults_are_named(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        parse_settings(f"secrets: {{{text}}}")
    assert "hunter2" not in str(caught.value)


def test_the_defaults_are_those_of_a_pod() -> None:
    found = parse_settings("").secrets
    assert found.kubernetes.url == "https://kubernetes.default.svc" and found.vault.url == ""
