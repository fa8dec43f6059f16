"""`python -m deploy.native`: compiles the hot modules with mypyc, for `make setup`. Only this needs a C compiler.

The compiled forms lie in the virtual environment and are found by `schemas/native.py` as long as the sources are those
they were made from. A second run compiles only when a source, the interpreter or the compiler version has changed.
"""

import hashlib
import importlib.machinery
import json
import os
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Final

from schemas.native import MANIFEST, ROOT, hash_source, native_dir

MODULES: Final = (
    "ingest.action_records",
    "ingest.codecs.base",
    "ingest.codecs.postgres",
    "ingest.codecs.postgres_answers",
    "ingest.codecs.postgres_failures",
    "ingest.codecs.postgres_intake",
    "ingest.codecs.postgres_masked_rows",
    "ingest.codecs.postgres_masked_values",
    "ingest.codecs.postgres_masking",
    "ingest.codecs.postgres_outflow",
    "ingest.codecs.postgres_parameters",
    "ingest.codecs.postgres_requests",
    "ingest.codecs.postgres_rows",
    "ingest.codecs.postgres_state",
    "ingest.codecs.postgres_tags",
    "ingest.codecs.postgres_wire",
    "ingest.gate",
    "ingest.held",
    "ingest.leg",
    "ingest.outbox",
    "ingest.relay",
    "ingest.session",
    "ingest.stream",
    "masking.cards",
    "masking.detection",
    "masking.engine",
    "masking.expressions",
    "masking.fingerprints",
    "masking.inline.body",
    "masking.inline.headers",
    "masking.inline.json_stream",
    "masking.inline.json_text",
    "masking.inline.json_walk",
    "masking.inline.memo",
    "masking.inline.model",
    "masking.inline.values",
    "masking.plain",
    "masking.prefilter",
    "masking.siblings",
    "masking.spans",
    "masking.tokens",
    "masking.validators",
    "processors.fact_batch",
    "processors.facts_of",
    "processors.pieces",
    "processors.screening",
    "processors.sighting_batch",
    "processors.tables",
    "processors.walk",
    "schemas.clock",
    "schemas.wire.avro",
    "schemas.wire.batching",
    "schemas.wire.outlook",
    "schemas.wire.partition",
    "schemas.wire.skips",
    "schemas.wire.tallies",
    "sinks.clickhouse.event_pieces",
    "sinks.clickhouse.event_rows",
    "sinks.clickhouse.native",
    "sinks.columns",
    "sinks.regions",
    "sinks.transparency.leaf",
    "sinks.transparency.merkle",
    "sinks.transparency.walk",
)
"""Typed, without framework magic, and on the way of every action or every event."""

GROUP: Final = "custody"
BUILD: Final = """
import sys
from setuptools import Distribution
from mypyc.build import mypycify

target, group, *paths = sys.argv[1:]
extensions = mypycify(paths, opt_level="2", debug_level="0", group_name=group, target_dir=target)
for extension in extensions:  # what nobody outside calls may be inlined, and is called without a detour
    extension.extra_compile_args.append("-fvisibility=hidden")
distribution = Distribution({"name": group, "ext_modules": extensions})
command = distribution.get_command_obj("build_ext")
command.build_lib = target + "/lib"
command.build_temp = target + "/temp"
distribution.run_command("build_ext")
"""
"""Runs in a process of its own: mypyc and setuptools print, read sys.argv and change global state."""


def fingerprint() -> str:
    """What the compiled forms depend on: sources, interpreter, compiler."""
    parts = [sys.version, version("mypy"), version("librt"), BUILD, *map(hash_source, MODULES)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def is_current(directory: Path) -> bool:
    """Whether what lies there was compiled from what there is now."""
    try:
        found: dict[str, str] = json.loads((directory / MANIFEST).read_text("utf-8"))
    except (OSError, ValueError):
        return False
    return found.get("fingerprint") == fingerprint()


def find_compiler() -> str | None:
    """The C compiler's path."""
    return next(
        (found for name in (os.environ.get("CC", ""), "cc", "gcc") if name and (found := shutil.which(name))), None
    )


def build(directory: Path) -> None:
    """Compile, then replace `directory`. Raises RuntimeError with the compiler's last words."""
    with tempfile.TemporaryDirectory(prefix="custody-native-", dir=directory.parent) as scratch:
        paths = [module.replace(".", "/") + ".py" for module in MODULES]
        done = subprocess.run(
            [sys.executable, "-c", BUILD, scratch, GROUP, *paths], cwd=ROOT, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise RuntimeError((done.stdout + done.stderr).strip()[-2000:])
        built = Path(scratch, "lib")
        write_manifest(built)
        shutil.rmtree(directory, ignore_errors=True)
        built.rename(directory)


def write_manifest(directory: Path) -> None:
    """Say what lies where and what it was made from."""
    suffix = importlib.machinery.EXTENSION_SUFFIXES[0]
    files = {
        str(path.relative_to(directory))[: -len(suffix)].replace("/", "."): str(path.relative_to(directory))
        for path in directory.rglob("*" + suffix)
    }
    manifest = {
        "fingerprint": fingerprint(),
        "suffix": suffix,
        "sources": {module: hash_source(module) for module in MODULES},
        "files": files,
    }
    (directory / MANIFEST).write_text(json.dumps(manifest, indent=1), "utf-8")


def main() -> int:
    """0 also without a compiler: then the sources run as they are."""
    directory = native_dir()
    if is_current(directory):
        return 0
    if find_compiler() is None:
        print("custody: no C compiler: the hot code runs interpreted, at less than half the speed", file=sys.stderr)
        return 0
    print("custody: compiling the hot code (some minutes, once) ...", file=sys.stderr)
    try:
        build(directory)
    except (RuntimeError, OSError) as error:
        print(f"custody: the hot code could not be compiled and runs interpreted: {error}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
