"""Seals the store's process off: it can open its own directory and what the engine needs to run, and connect nowhere.

Landlock (Linux 5.13 and later; TCP from 6.7) binds root too. Started by root the process also becomes a user of its
own, where the paths it needs can be reached by that user. Call `seal` before any thread starts: it binds the calling
thread and those it starts.
"""

import ctypes
import os
import struct
import sys
import sysconfig
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from deploy.embedded.store_errors import StoreError

STORE_UID: Final = 61_018

# uapi/linux/landlock.h
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION_FLAG: Final = 1
_RULE_PATH_BENEATH: Final = 1
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_TRUNCATE, _IOCTL_DEV = 1 << 14, 1 << 15
_FILE_RIGHTS: Final = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
_FS_RIGHTS_BY_ABI: Final = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1, 5: (1 << 16) - 1}
_NET_RIGHTS: Final = 0b11  # bind and connect TCP
_SCOPES: Final = 0b11  # abstract sockets and signals
_READ: Final = _READ_FILE | _READ_DIR | _EXECUTE
_PR_SET_NO_NEW_PRIVS: Final = 38
_PR_SET_DUMPABLE: Final = 4

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Reach:
    """What the process may open: directories to own, paths to read, files to write."""

    own: tuple[Path, ...]
    read: tuple[Path, ...] = ()
    write: tuple[Path, ...] = ()


def runtime_paths() -> tuple[Path, ...]:
    """Read-only paths that Python and the engine need: code, libraries, time zones, facts about the machine."""
    code = {sys.prefix, sys.base_prefix, *sysconfig.get_paths().values()}
    system = (
        "/usr/lib", "/usr/lib64", "/lib", "/lib64", "/usr/share/zoneinfo", "/etc/localtime", "/etc/ld.so.cache",
        "/proc/self/maps", "/proc/self/auxv", "/etc/ssl/openssl.cnf", "/proc/self/statm",
        "/proc/self/status", "/proc/self/cgroup", "/proc/self/mountinfo",
        "/proc/meminfo", "/proc/cpuinfo", "/proc/stat", "/proc/version", "/proc/sys/kernel", "/proc/sys/vm",
        "/sys/devices/system", "/sys/fs/cgroup", "/sys/kernel/mm/transparent_hugepage", "/dev/null",
        "/dev/urandom", "/dev/random",
    )  # fmt: skip
    return tuple(path for path in map(Path, (*sorted(code), *system)) if path.exists())


def landlock_abi() -> int:
    """The kernel's Landlock version; 0 without Landlock."""
    return max(0, int(_libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(_VERSION_FLAG))))


def seal(reach: Reach, uid: int = STORE_UID) -> list[str]:
    """Seal the process; returns how: `landlock`, `uid`, or both. Raises StoreError when neither is possible."""
    means: list[str] = []
    if os.geteuid() == 0 and _is_reachable((*reach.own, Path(sys.prefix), Path(sys.base_prefix))):
        become_user(uid, reach.own)
        means.append("uid")
    abi = landlock_abi()
    if abi:
        restrict(reach, abi)
        means.append("landlock")
    if not means:
        raise StoreError("this kernel has no Landlock: start the store as root, from directories any user can enter")
    return means


def become_user(uid: int, own: Iterable[Path]) -> None:
    """Give the directories to `uid` and become it, with no way back."""
    for top in own:
        for directory, _, files in os.walk(top):
            for path in (directory, *(os.path.join(directory, name) for name in files)):
                os.chown(path, uid, uid, follow_symlinks=False)
        top.chmod(0o700)
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    _libc.prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)  # else /proc/self stays root's, and the engine reads it


def restrict(reach: Reach, abi: int) -> None:
    """Apply Landlock to this thread and all it starts. Raises StoreError."""
    rights = _FS_RIGHTS_BY_ABI[min(abi, max(_FS_RIGHTS_BY_ABI))]
    fields = [rights, _NET_RIGHTS if abi >= 4 else None, _SCOPES if abi >= 6 else None]
    attributes = b"".join(struct.pack("=Q", value) for value in fields if value is not None)
    ruleset = _call(_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), ctypes.c_uint32(0))
    try:
        for path in reach.own:
            _add_path(ruleset, path, rights & ~_EXECUTE)
        for path in reach.write:
            _add_path(ruleset, path, rights & (_READ_FILE | _WRITE_FILE | _TRUNCATE))
        for path in reach.read:
            _add_path(ruleset, path, _READ)
        if _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
            raise StoreError("cannot give up new privileges")
        _call(_RESTRICT_SELF, ctypes.c_int(ruleset), ctypes.c_uint32(0))
    finally:
        os.close(ruleset)


def _add_path(ruleset: int, path: Path, rights: int) -> None:
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        rights = rights if path.is_dir() else rights & _FILE_RIGHTS
        rule = struct.pack("=Qi", rights, descriptor)
        _call(_ADD_RULE, ctypes.c_int(ruleset), ctypes.c_int(_RULE_PATH_BENEATH), rule, ctypes.c_uint32(0))
    finally:
        # A rule is tied to an inode, and procfs makes a new one once nothing holds the old: so these stay open.
        if not path.is_relative_to("/proc"):
            os.close(descriptor)


def _call(number: int, *arguments: object) -> int:
    result = int(_libc.syscall(number, *arguments))
    if result < 0:
        raise StoreError(f"Landlock is there but refuses: {os.strerror(ctypes.get_errno())}")
    return result


def _is_reachable(paths: Iterable[Path]) -> bool:
    """Whether any user may enter all directories above the paths."""
    return all(parent.stat().st_mode & 0o001 for path in paths for parent in path.resolve().parents)
