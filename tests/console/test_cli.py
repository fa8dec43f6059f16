import json
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import click
import pytest

from console.cli import COMMANDS, run
from tests.console.conftest import Run

ROOT = Path(__file__).parents[2]
HEAVY = ("clickhouse_connect", "confluent_kafka", "pydantic", "rich", "cryptography", "hyperscan", "psycopg")


def test_help_imports_nothing_heavy() -> None:
    code = (
        f"import sys; from console.cli import run; run(['--help']); print([m for m in {HEAVY!r} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert "replay" in done.stdout


def test_every_command_is_where_the_table_says() -> None:
    for name, entry in COMMANDS.items():
        module, _, attribute = entry.target.partition(":")
        command = getattr(import_module(module), attribute)
        assert isinstance(command, click.Command), name
        assert command.name == name
        assert command.help, name


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(custody: Run, name: str) -> None:
    answer = custody(name, "--help")
    assert answer.code == 0
    assert answer.out.startswith("Usage: ")


def all_commands() -> list[tuple[str, click.Command]]:
    found: list[tuple[str, click.Command]] = []

    def walk(path: str, command: click.Command) -> None:
        if isinstance(command, click.Group):
            for name, inner in command.commands.items():
                walk(f"{path} {name}", inner)
        if not isinstance(command, click.Group) or command.invoke_without_command:
            found.append((path, command))

    for name, entry in COMMANDS.items():
        module, _, attribute = entry.target.partition(":")
        walk(name, getattr(import_module(module), attribute))
    return found


def words_of(heading: str) -> str:
    """A command's name without its arguments."""
    return " ".join(word for word in heading.split() if word.islower() and word[0].isalpha())


def test_docs_have_every_command_and_option_and_no_other() -> None:
    text = (ROOT / "docs" / "commands.md").read_text()
    headings = {line.removeprefix("### `custody ").split("`")[0].strip() for line in text.splitlines()
                if line.startswith("### `custody ")}  # fmt: skip
    documented = {words_of(heading) for heading in headings}
    assert documented == {path for path, _ in all_commands()}
    sections = {part.split("`")[0]: part for part in text.split("### `custody ")[1:]}
    for path, command in all_commands():
        (section,) = [part for head, part in sections.items() if words_of(head) == path]
        for option in command.params:
            for flag in (flag for flag in option.opts if flag.startswith("--")):
                assert f"`{flag}" in section, f"{path} {flag}"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nonsense",), "No such command"),
        (("query",), "Missing argument"),
        (("sessions", "--limit", "many"), "--limit"),
        (("sessions", "--since", "yesterday-ish"), "neither a time"),
        (("config", "check", "/no/such/file"), "No such file"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(custody: Run, arguments: tuple[str, ...], words: str) -> None:
    answer = custody(*arguments)
    assert answer.code == 2
    assert words in answer.err
    assert answer.err.startswith("custody: ")
    assert len(answer.err.splitlines()) == 1


def test_a_defect_is_one_line_too(custody: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise RuntimeError("token=abcdefgh12345 leaked\nsecond line")

    monkeypatch.setattr("console.control.find_place", broken)
    answer = custody("verify")
    assert answer.code == 2
    assert answer.err.startswith("custody: RuntimeError: ")
    assert "abcdefgh12345" not in answer.err
    assert len(answer.err.splitlines()) == 1


@pytest.mark.parametrize("command", ["policy classify --dialect http", "mask --jsonl"], ids=["text", "bytes"])
def test_a_reader_who_leaves_is_neither_success_nor_violation(command: str, tmp_path: Path) -> None:
    lines = tmp_path / "lines"
    lines.write_text('{"id": 1, "text": "none", "statement": "GET http://127.0.0.1/a"}\n' * 10_000)  # no pipe holds it
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m console.cli {command} <{lines} | head -1; exit ${{PIPESTATUS[0]}}"],
        cwd=ROOT, capture_output=True, text=True, check=False,
        env={**os.environ, "CUSTODY_HOME": str(tmp_path)},
    )  # fmt: skip
    assert json.loads(done.stdout)["id"] == 1
    assert "Traceback" not in done.stderr and "Exception" not in done.stderr
    assert done.returncode == 141


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        ("mask <&-", 0, "masking.free_text"),
        ("trace <&-", 2, "no value on standard input"),
        ("query - <&-", 2, "no SQL was given"),
        ("config docs >&-", 0, ""),
        ("nonsense >&- 2>&-", 2, ""),
    ],
)
def test_closed_streams_are_empty_ones(command: str, code: int, said: str, tmp_path: Path) -> None:
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m console.cli {command}"],
        cwd=ROOT, capture_output=True, text=True, check=False,
        env={**os.environ, "CUSTODY_HOME": str(tmp_path)},
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr and "Error" not in done.stderr and "Traceback" not in done.stderr


def test_version() -> None:
    assert run(["--help"]) == 0
