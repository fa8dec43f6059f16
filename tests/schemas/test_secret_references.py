import pytest

from schemas.errors import ConfigError
from schemas.resources import Upstream
from schemas.secret_references import FORMS, parse_reference


@pytest.mark.parametrize(
    ("text", "kind", "path", "field"),
    [
        ("env:DB_PASSWORD", "env", "DB_PASSWORD", ""),
        ("file:upstream/db.password", "file", "upstream/db.password", ""),
        ("encrypted:orders-db.2", "encrypted", "orders-db.2", ""),
        ("vault:kv/app/db#password", "vault", "kv/app/db", "password"),
        ("vault-db:database/readonly", "vault-db", "database/readonly", ""),
        ("aws:prod/db#password", "aws", "prod/db", "password"),
        ("aws:arn:aws:secretsmanager:eu-west-1:123456789012:secret:db-AbC", "aws",
         "arn:aws:secretsmanager:eu-west-1:123456789012:secret:db-AbC", ""),
        ("gcp:project-1/db", "gcp", "project-1/db", ""),
        ("gcp:project-1/db/7#password", "gcp", "project-1/db/7", "password"),
        ("k8s:agents/db-login#password", "k8s", "agents/db-login", "password"),
    ],
)  # fmt: skip
def test_each_kind_is_taken_apart(text: str, kind: str, path: str, field: str) -> None:
    found = parse_reference(text)
    assert (found.kind, found.path, found.field, found.text) == (kind, path, field, text)
    assert found.is_local == (kind in ("env", "file", "encrypted"))


@pytest.mark.parametrize(
    "text",
    [
        "", "hunter2", "vault:kv/app/db", "vault:kv#x", "vault:kv/../sys/seal#x", "vault:kv/a?list=true#x",
        "vault-db:x",
        "k8s:a/b", "k8s:a/b/c#d", "k8s:A/b#c", "k8s:a/../b#c", "gcp:p", "gcp:p/s/newest", "aws:", "aws:a b",
        "encrypted:", "encrypted:a/b", "encrypted:a#b",
        "env:1X", "env:A-B", "file:", "http://x", "vault:kv/a#b\n", "k8s:a/b#c/d",
    ],
)  # fmt: skip
def test_anything_else_is_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_reference(text)
    assert "hunter2" not in str(caught.value) and "sys/seal" not in str(caught.value)


def test_a_resource_that_holds_the_secret_itself_is_refused() -> None:
    with pytest.raises(ValueError, match="a secret is named by") as caught:
        Upstream(host="h", port=1, secret="hunter2")
    assert "vault" in FORMS and "env:NAME" in str(caught.value)
