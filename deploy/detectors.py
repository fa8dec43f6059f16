"""`python -m deploy.detectors`: compiles the detectors for `make setup`, so that the first start of a home has not to.

Compiling them takes some CPU seconds. What is made here lies in the virtual environment, beside the code that it
belongs to, and serves as long as it is of the same detectors, for the same processor and this user's alone; else a
start compiles for itself. A second run reads a stamp and no more.
"""

import hashlib
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from schemas.cache import PrivateCache, shipped_dir
from schemas.native import ROOT
from schemas.runtime import write_private

STAMP: Final = "stamp"


def fingerprint() -> str:
    """What the compiled detectors depend on, but for the processor: sources, rules, the compiler's version."""
    files = sorted(path for path in (ROOT / "masking").rglob("*") if path.suffix in (".py", ".yaml"))
    digest = hashlib.sha256(_compiler().encode())
    for path in files:
        data = path.read_bytes()
        digest.update(f"\n{path.relative_to(ROOT)} {len(data)}\n".encode() + data)
    return digest.hexdigest()


def _compiler() -> str:
    try:
        return version("hyperscan")
    except PackageNotFoundError:  # no build for this platform: there is nothing to compile
        return ""


def is_current(directory: Path) -> bool:
    """Whether what lies there was made from what there is now."""
    try:
        return (directory / STAMP).read_text("utf-8") == fingerprint()
    except (OSError, ValueError):
        return False


def main() -> int:
    """0 also where nothing can be kept: then each start compiles for itself."""
    directory = shipped_dir()
    if is_current(directory):
        return 0
    # Only here: importing them takes longer than a look at the stamp.
    from masking.engine import Masker
    from masking.tokens import TokenKey

    for path in directory.glob("hyperscan-*"):
        path.unlink()
    Masker(tokens=TokenKey(bytes(32)), kept=PrivateCache(directory))
    try:
        write_private(directory / STAMP, fingerprint().encode())
    except OSError as error:
        print(f"custody: the detectors are not kept, each first start compiles them: {error.strerror}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
