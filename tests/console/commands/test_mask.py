import io
import json
from types import SimpleNamespace

import pytest

from tests.console.conftest import Run

CARD = "4111111111111111"


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch, tmp_path):  # type: ignore[no-untyped-def]
    monkeypatch.setenv("CUSTODY_HOME", str(tmp_path / "none"))

    def set_input(data: bytes) -> None:
        monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(data)))

    return set_input


def test_text_in_masked_text_out(custody: Run, given) -> None:  # type: ignore[no-untyped-def]
    given(f"pay {CARD}\nand ada@example.com\n".encode() * 1000)
    lines = custody("mask").out.splitlines()
    assert len(lines) == 2000
    assert CARD not in "".join(lines) and "ada@" not in "".join(lines)
    assert lines[0].startswith("pay ‹payment_card:") and lines[1].startswith("and ‹email:")


def test_spans_are_code_points(custody: Run, given) -> None:  # type: ignore[no-untyped-def]
    given(f"ünï {CARD}\nplain\n".encode())
    first, second = map(json.loads, custody("mask", "--spans").out.splitlines())
    assert first["id"] == 1
    assert first["spans"] == [{"start": 4, "end": 20, "label": "payment_card"}]
    assert CARD not in first["masked"] and first["masked"].startswith("ünï ‹payment_card:")
    assert second == {"id": 2, "spans": [], "masked": "plain"}


def test_json_lines_keep_their_ids(custody: Run, given) -> None:  # type: ignore[no-untyped-def]
    given(json.dumps({"id": "a7", "text": f"x {CARD}"}).encode() + b'\n{"no": "text"}\n')
    first, second = map(json.loads, custody("mask", "--spans").out.splitlines())
    assert (first["id"], first["spans"][0]["start"]) == ("a7", 2)
    assert (second["id"], second["masked"]) == (2, '{"no": "text"}')


def test_only_the_text_of_json_lines_is_masked(custody: Run, given) -> None:  # type: ignore[no-untyped-def]
    given(json.dumps({"id": 1, "text": CARD}).encode())
    (line,) = map(json.loads, custody("mask", "--jsonl").out.splitlines())
    assert line["id"] == 1 and line["text"].startswith("‹payment_card:")
    given(b"no json\n")
    answer = custody("mask", "--jsonl")
    assert answer.code == 2
    assert "line 1" in answer.err


def test_a_home_gives_one_token_each_time(custody: Run, given, bare_home, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setenv("CUSTODY_HOME", str(bare_home.root))
    answers = set()
    for _ in range(2):
        given(CARD.encode())
        answers.add(custody("mask").out)
    assert len(answers) == 1


def test_it_says_that_prose_is_not_looked_into(custody: Run, given) -> None:  # type: ignore[no-untyped-def]
    given(b"Ada Lovelace\n")
    answer = custody("mask")
    assert answer.out == "Ada Lovelace\n"
    assert "not looked for (masking.free_text: off)" in answer.err


def test_without_its_model_it_says_what_to_install(custody: Run, given, bare_home, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setenv("CUSTODY_HOME", str(bare_home.root))
    (bare_home.root / "custody.yaml").write_text("masking: {free_text: presidio}\n")
    given(b"Ada Lovelace\n")
    answer = custody("mask")
    assert (answer.code, answer.out) == (2, "")
    assert "pip install presidio-analyzer spacy" in answer.err
