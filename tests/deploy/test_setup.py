"""deploy/setup.sh: finds a Python that runs, installs once per lock, says what is missing."""

import importlib.util
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "deploy/setup.sh"


def run(command: str, path: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run shell code with the script's functions at hand and only `path` and the base tools on PATH."""
    env = {"PATH": f"{path}:/usr/bin:/bin", "HOME": str(path), **variables}
    return subprocess.run(
        ["bash", "-c", f"source {SCRIPT}\n{command}"], env=env, capture_output=True, text=True, timeout=60
    )


def write_script(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/bash\n{text}\n")
    path.chmod(0o755)


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A directory for PATH that hides every Python of this machine behind one that does not run."""
    for name in ("python3.13", "python3", "python", "uv"):
        write_script(tmp_path / f"tools/{name}", "echo 'command not found' >&2; exit 127")
    return tmp_path / "tools"


def test_a_shim_that_does_not_run_is_passed_over_for_pyenv(tools: Path) -> None:
    real = tools / ".pyenv/versions/3.13.9/bin/python3.13"
    real.parent.mkdir(parents=True)
    real.symlink_to(os.path.realpath(sys.executable))
    done = run("find_python", tools)
    assert (done.returncode, done.stdout.strip()) == (0, str(real))


def test_uv_is_asked_too(tools: Path) -> None:
    write_script(tools / "uv", f'[ "$*" = "python find --no-python-downloads 3.13" ] && echo {sys.executable}')
    done = run("find_python", tools)
    assert (done.returncode, done.stdout.strip()) == (0, sys.executable)


def test_without_python_one_line_says_what_to_do(tools: Path) -> None:
    done = run("find_python", tools)
    assert done.returncode == 2
    assert "pyenv install 3.13" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_packages_are_installed_once_per_lock(tools: Path, tmp_path: Path) -> None:
    root = tmp_path / "checkout"
    for name in ("requirements.lock", "requirements-dev.lock", "pyproject.toml", "deploy/setup.sh"):
        write_script(root / name, "")
    # In place of pip, which would take minutes.
    write_script(root / ".venv/bin/python", f'echo "$*" >>{root}/calls')
    command = f"ROOT={root} VENV={root}/.venv STAMP={root}/.venv/stamp; install_packages; install_packages"
    assert run(command, tools).returncode == 0
    calls = (root / "calls").read_text().splitlines()
    assert len(calls) == 2
    assert "--require-hashes" in calls[0]
    (root / "requirements.lock").write_text("changed")
    assert run(command, tools).returncode == 0
    assert len((root / "calls").read_text().splitlines()) == 4


def test_sources_are_compiled_also_where_processes_write_no_bytecode(tools: Path, tmp_path: Path) -> None:
    module = tmp_path / "checkout/schemas/module.py"
    module.parent.mkdir(parents=True)
    module.write_text("ANSWER = 42\n")
    module.with_name("faulty.py").write_text("def")
    (tmp_path / "venv/bin").mkdir(parents=True)
    (tmp_path / "venv/bin/python").symlink_to(os.path.realpath(sys.executable))
    command = f"ROOT={tmp_path}/checkout VENV={tmp_path}/venv OWN_PACKAGES=(schemas); compile_bytecode"
    done = run(command, tools, PYTHONDONTWRITEBYTECODE="1")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert Path(importlib.util.cache_from_source(str(module))).is_file()


def test_every_package_is_compiled() -> None:
    shell = subprocess.run(
        ["bash", "-c", f'source {SCRIPT}; printf "%s\n" "${{OWN_PACKAGES[@]}}"'], capture_output=True, text=True
    )
    with (SCRIPT.parents[1] / "pyproject.toml").open("rb") as file:
        found = tomllib.load(file)["tool"]["setuptools"]["packages"]["find"]["include"]
    assert sorted(shell.stdout.split()) == sorted(name.removesuffix("*") for name in found)


def test_missing_java_is_one_line_with_the_packages(tools: Path) -> None:
    command = (
        'is_debian_root() { false; }; list_missing() { [ "$1" != java ] || echo "java "; }; install_system_packages'
    )
    done = run(command, tools)
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "custody: java missing: install Java 17 and Maven (on Debian: apt-get install openjdk-17-jre-headless maven)"
    ]


def test_missing_test_tools_are_said_and_do_no_harm(tools: Path) -> None:
    command = 'is_debian_root() { false; }; list_missing() { [ "$1" = java ] || echo "wrk "; }; install_system_packages'
    done = run(command, tools)
    assert done.returncode == 0
    assert "also install: wrk (on Debian:" in done.stderr
