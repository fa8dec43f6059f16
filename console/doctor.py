"""What can be wrong with a machine or a home, each found by a check of its own."""

import os
import re
import shutil
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from console.control import Place
from schemas.errors import CustodyError
from schemas.native import is_native
from schemas.runtime import read_run_state

MIN_FREE_BYTES: Final = 2 << 30
MIN_JAVA: Final = 17
EARLIEST_CLOCK_S: Final = 1_735_689_600  # 2025-01-01: a clock before this was never set
RUN_TIMEOUT_S: Final = 20
LOOPBACK: Final = "127.0.0.1"


class Health(StrEnum):
    """How bad it is."""

    FINE = "fine"
    WARN = "warn"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found; `advice` is what to do."""

    check: str
    health: Health
    detail: str
    advice: str = ""


def check_all(place: Place) -> list[Finding]:
    """Every check, in order; none stops another."""
    return [finding for check in CHECKS for finding in _guarded(check, place)]


def check_python(place: Place) -> Iterator[Finding]:
    """Python 3.13 is what the dependencies are locked for."""
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] == (3, 13):
        yield Finding("python", Health.FINE, version)
    else:
        yield Finding("python", Health.BAD, f"{version}, not 3.13", "run `make setup` with Python 3.13 on PATH")


def check_native(place: Place) -> Iterator[Finding]:
    """The capture proxies want compiled code."""
    if is_native():
        yield Finding("native", Health.FINE, "the capture code runs compiled")
    else:
        detail = "the capture code runs interpreted, at less than half the speed"
        yield Finding("native", Health.WARN, detail, "install a C compiler (Debian: gcc libc6-dev), run `make setup`")


def check_java(place: Place) -> Iterator[Finding]:
    """The embedded broker needs Java 17."""
    if place.settings.kafka.bootstrap:
        yield Finding("java", Health.FINE, "not needed: kafka.bootstrap names a broker")
        return
    advice = "install openjdk-17-jre-headless (Debian) or another Java 17 or newer"
    path = shutil.which("java")
    if path is None:
        yield Finding("java", Health.BAD, "not found", advice)
        return
    version = java_version(_run([path, "-version"]))
    health = Health.FINE if version >= MIN_JAVA else Health.BAD
    yield Finding("java", health, f"version {version}", "" if health is Health.FINE else advice)


def java_version(text: str) -> int:
    """The major version in what `java -version` says; 0 when it says none."""
    found = re.search(r'version "(?:1\.)?(\d+)', text)
    return int(found.group(1)) if found else 0


def check_maven(place: Place) -> Iterator[Finding]:
    """Maven fetches the embedded servers, once."""
    if shutil.which("mvn"):
        yield Finding("mvn", Health.FINE, "found")
    else:
        yield Finding("mvn", Health.WARN, "not found", "install maven; needed until the archives are in the cache")


def check_disk(place: Place) -> Iterator[Finding]:
    """Records, spool and logs need room; a full disk blocks agents."""
    folder = place.home.root
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    health = Health.FINE if free >= MIN_FREE_BYTES else Health.BAD
    yield Finding("disk", health, f"{free / (1 << 30):.1f} GiB free", "" if health is Health.FINE else "make room")


def check_clock(place: Place) -> Iterator[Finding]:
    """Events carry this clock; a wrong one makes a wrong record."""
    if time.time() < EARLIEST_CLOCK_S:
        yield Finding("clock", Health.BAD, "is years behind", "set the clock; run an NTP client")
    elif not is_clock_synchronised():
        yield Finding("clock", Health.WARN, "not known to be synchronised", "run an NTP client")
    else:
        yield Finding("clock", Health.FINE, "synchronised")


def is_clock_synchronised() -> bool:
    """What the kernel or systemd knows of it."""
    if Path("/run/systemd/timesync/synchronized").exists():
        return True
    tool = shutil.which("timedatectl")
    return tool is not None and "NTPSynchronized=yes" in _run([tool, "show"])


def check_home(place: Place) -> Iterator[Finding]:
    """Secrets are readable by their owner alone."""
    root = place.home.root
    if not root.exists():
        yield Finding("home", Health.WARN, f"{root} does not exist yet", "`custody up` creates it")
        return
    if not os.access(root, os.W_OK):
        yield Finding("home", Health.BAD, f"{root} is not writable", "change its owner")
    open_ = [path for path in (root, place.home.secrets, place.home.ca) if path.exists() and is_open_to_others(path)]
    open_ += [path for path in _secret_files(place.home.secrets) if is_open_to_others(path)]
    for path in open_:
        name = path.relative_to(root.parent)
        yield Finding("home", Health.BAD, f"others may read {name}", f"chmod go-rwx {name}")
    if not open_:
        yield Finding("home", Health.FINE, f"{root}, closed to others")


def check_ports(place: Place) -> Iterator[Finding]:
    """A port is free, or its own part listens on it."""
    own = _own_ports(place)
    for name, port in place.settings.ports.model_dump().items():
        if port == 0 or port in own:
            continue
        if is_taken(port):
            advice = f"set ports.{name} in custody.yaml, or stop what listens there"
            yield Finding("ports", Health.BAD, f"{name}: {port} is taken by another process", advice)
    yield Finding("ports", Health.FINE, "checked on loopback")


def is_taken(port: int) -> bool:
    """Whether nobody else could listen there now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return True
    return False


def is_open_to_others(path: Path) -> bool:
    """Whether group or others have any right."""
    return bool(stat.S_IMODE(path.stat().st_mode) & 0o077)


def check_free_text(place: Place) -> Iterator[Finding]:
    """Names and places in prose need a model, and then it must be there."""
    settings = place.settings.masking
    if settings.free_text == "off":
        yield Finding("free text", Health.FINE, "names and places in prose are not looked for (masking.free_text: off)")
    elif find_spec("presidio_analyzer") is None:
        detail = f"masking.free_text is {settings.free_text}, but presidio-analyzer is not installed"
        yield Finding("free text", Health.BAD, detail, "pip install presidio-analyzer spacy, and a model")
    else:
        yield Finding("free text", Health.FINE, f"{settings.free_text} with {settings.free_text_model}")


CHECKS: Final[tuple[Callable[[Place], Iterator[Finding]], ...]] = (
    check_python,
    check_native,
    check_java,
    check_maven,
    check_disk,
    check_clock,
    check_home,
    check_ports,
    check_free_text,
)


def _guarded(check: Callable[[Place], Iterator[Finding]], place: Place) -> Iterator[Finding]:
    try:
        yield from check(place)
    except (OSError, subprocess.SubprocessError, CustodyError) as error:
        yield Finding(check.__name__.removeprefix("check_"), Health.BAD, f"could not be checked: {error}")


def _secret_files(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        yield from (path for path in folder.rglob("*") if path.is_file())


def _own_ports(place: Place) -> set[int]:
    ports = place.settings.ports
    live: set[int] = set()
    names = [path.stem for path in place.home.run.glob("*.json")] if place.home.run.is_dir() else []
    for name in names:
        state = read_run_state(place.home, name)
        if state is not None and state.is_alive():
            live |= set(state.ports.values())
            live |= {port for part, port in ports.model_dump().items() if part.startswith(name.replace("-", "_"))}
    return live


def _run(argv: list[str]) -> str:
    done = subprocess.run(argv, capture_output=True, timeout=RUN_TIMEOUT_S, check=False)
    return (done.stdout + done.stderr).decode("utf-8", "replace")
