"""Lets compiled forms of the hot modules stand in for their sources, as long as they were made from them.

`deploy/native.py` compiles; this module only finds. The compiled forms share C structures, so they are used all or
none: when one source differs from what was compiled, or CUSTODY_NATIVE is 0, everything runs as plain Python, with the
same results and slower.
"""

import hashlib
import importlib.machinery
import importlib.util
import json
import os
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Final

ROOT: Final = Path(__file__).parents[1]
ENV_NATIVE: Final = "CUSTODY_NATIVE"
MANIFEST: Final = "manifest.json"


def native_dir() -> Path:
    """Where the compiled forms of this environment lie."""
    return Path(sys.prefix) / "custody-native"


def source_of(module: str) -> Path:
    """Where a module's source lies, whether or not its compiled form is what runs."""
    return ROOT / (module.replace(".", "/") + ".py")


def hash_source(module: str) -> str:
    """SHA-256 of a module's source, hex. Raises OSError."""
    return hashlib.sha256(source_of(module).read_bytes()).hexdigest()


def read_manifest() -> tuple[dict[str, str], dict[str, Path]]:
    """Source hashes and compiled files by module name; empty when nothing was compiled for this interpreter."""
    directory = native_dir()
    try:
        manifest = json.loads((directory / MANIFEST).read_text("utf-8"))
        if manifest["suffix"] != importlib.machinery.EXTENSION_SUFFIXES[0]:
            return {}, {}
        sources: dict[str, str] = manifest["sources"]
        files = {name: directory / file for name, file in manifest["files"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):  # whatever else lies there
        return {}, {}
    return sources, files


class NativeFinder(MetaPathFinder):
    """Finds the compiled forms by module name."""

    def __init__(self, files: dict[str, Path]) -> None:
        self._files = files

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        file = self._files.get(fullname)
        return importlib.util.spec_from_file_location(fullname, file) if file is not None else None


def install() -> bool:
    """Use the compiled forms from now on, if they are whole and current. Whether they are used."""
    if is_native():
        return True
    if os.environ.get(ENV_NATIVE) == "0":
        return False
    sources, files = read_manifest()
    try:
        if not sources or any(hash_source(module) != known for module, known in sources.items()):
            return False
    except OSError:
        return False
    sys.meta_path.insert(0, NativeFinder(files))
    return True


def is_native() -> bool:
    """Whether this process runs the compiled forms."""
    return any(isinstance(finder, NativeFinder) for finder in sys.meta_path)
