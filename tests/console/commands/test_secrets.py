import io
import json
import sys

import pytest

from schemas.runtime import Home
from tests.console.conftest import Run
from tests.support.homes import write_settings


def type_in(monkeypatch: pytest.MonkeyPatch, raw: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(raw)))


def test_secrets_are_put_listed_rotated_and_removed_without_being_shown(
    bare_home: Home, custody: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_settings(bare_home)
    type_in(monkeypatch, b"hunter2-of-db\n")
    answer = custody("secrets", "put", "db", "--json")
    assert answer.code == 0 and json.loads(answer.out)["reference"] == "encrypted:db"
    type_in(monkeypatch, b"other")
    assert "encrypted:api" in custody("secrets", "put", "api").out
    listed = custody("secrets", "list", "--json")
    assert [json.loads(line)["name"] for line in listed.out.splitlines()] == ["api", "db"]
    assert "encrypted:db" in custody("secrets", "list").out
    rotated = custody("secrets", "rotate-key", "--json")
    assert len(json.loads(rotated.out)["key"]) == 16
    assert "written under key" in custody("secrets", "rotate-key").out
    assert custody("secrets", "remove", "api").code == 0
    assert custody("secrets", "remove", "api").code == 2
    raw = (bare_home.root / "secrets.encrypted").read_bytes()
    assert b"hunter2" not in raw + (answer.out + listed.out).encode()


def test_a_value_is_no_argument_and_is_text(bare_home: Home, custody: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    write_settings(bare_home)
    refused = custody("secrets", "put", "db", "hunter2")
    assert refused.code == 2 and "hunter2" not in refused.err
    for raw in (b"", b"\n", b"\xff\xfe", b"x" * 70_000):
        type_in(monkeypatch, raw)
        assert custody("secrets", "put", "db").code == 2
    assert not (bare_home.root / "secrets.encrypted").exists()


def test_a_broken_file_is_one_line(bare_home: Home, custody: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    write_settings(bare_home)
    type_in(monkeypatch, b"v")
    custody("secrets", "put", "db")
    path = bare_home.root / "secrets.encrypted"
    path.write_bytes(path.read_bytes()[:-1])
    for arguments in (("list",), ("remove", "db"), ("rotate-key",)):
        answer = custody("secrets", *arguments)
        assert (answer.code, answer.err.count("\n")) == (2, 1) and "altered or cut off" in answer.err
