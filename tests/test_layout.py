"""The shape of the repository: every source file has its test, our package names are nobody else's."""

import importlib.metadata
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("schemas", "masking", "policy", "ingest", "processors", "sinks", "deploy", "console")
TARGETS = "setup demo up down clean check test test-servers test-full soak bench".split()
SOURCES = sorted(
    path.relative_to(ROOT)
    for package in PACKAGES
    for path in (ROOT / package).rglob("*.py")
    if not path.name.startswith("__")
)


def test_every_source_file_has_its_test() -> None:
    expected = {source: Path("tests") / source.parent / f"test_{source.name}" for source in SOURCES}
    missing = [str(source) for source, test in expected.items() if not (ROOT / test).is_file()]
    assert not missing, "no test for:\n" + "\n".join(missing)


def test_no_dependency_claims_our_package_names() -> None:
    owners = importlib.metadata.packages_distributions()
    claimed = {name: set(owners.get(name, [])) - {"custody"} for name in (*PACKAGES, "bench")}
    assert not {name: others for name, others in claimed.items() if others}


def test_make_offers_the_agreed_targets_and_setup_is_their_base() -> None:
    shown = subprocess.run(["make", "-s", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert [line.split()[0] for line in shown.splitlines()] == ["help", *TARGETS]
    makefile = (ROOT / "Makefile").read_text()
    assert set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE)) == {*TARGETS, "help"}


def test_scripts_are_well_formed() -> None:
    for script in (ROOT / "deploy").glob("*.sh"):
        subprocess.run(["bash", "-n", script], check=True)
        assert script.stat().st_mode & 0o100
