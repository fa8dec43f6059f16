"""Sealing a process. What a sealed process cannot do is tried in test_store.py."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.embedded import store_sandbox
from deploy.embedded.store_errors import StoreError
from deploy.embedded.store_sandbox import STORE_UID, Reach, landlock_abi, runtime_paths, seal
from tests.support.store import ROOT


def run(script: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    return done.stdout + done.stderr


def test_runtime_paths_hold_no_secrets_and_no_home() -> None:
    for path in runtime_paths():
        assert path.exists()
        assert path not in (Path("/"), Path("/etc"), Path("/proc"), Path("/proc/self"), Path("/root"), Path("/tmp"))
        assert not ROOT.is_relative_to(path)


def test_a_kernel_without_landlock_needs_a_user_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_sandbox, "landlock_abi", lambda: 0)
    monkeypatch.setattr(store_sandbox, "_is_reachable", lambda paths: False)
    with pytest.raises(StoreError, match="Landlock"):
        seal(Reach(own=(tmp_path,)))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_root_becomes_a_user_of_its_own(tmp_path: Path) -> None:
    script = """
import os, sys
from pathlib import Path
from deploy.embedded.store_sandbox import become_user
own = Path(sys.argv[1])
(own / "sub").mkdir(); (own / "sub" / "file").write_text("x")
os.chdir(own)
become_user(int(sys.argv[2]), [own])
print(os.getresuid(), os.getresgid(), os.getgroups(), open("sub/file").read(), len(open("/proc/self/maps").read()) > 0)
try: os.setuid(0)
except PermissionError: print("no way back")
"""
    shown = run(script, str(tmp_path), str(STORE_UID))
    assert shown == f"{(STORE_UID,) * 3} {(STORE_UID,) * 3} [] x True\nno way back\n"
    assert (tmp_path / "sub" / "file").stat().st_uid == STORE_UID
    assert tmp_path.stat().st_mode & 0o777 == 0o700


def test_landlock_binds_threads_and_children(tmp_path: Path) -> None:
    assert landlock_abi() > 0, "the kernel of the test machine has Landlock"
    script = """
import subprocess, sys, threading
from pathlib import Path
from deploy.embedded.store_sandbox import Reach, landlock_abi, restrict, runtime_paths
own = Path(sys.argv[1])
(own / "extra").write_text("old")
extra = own / "extra"
sub = own / "sub"; sub.mkdir()
restrict(Reach(own=(sub,), read=(*runtime_paths(), Path("/usr/bin"), Path("/bin")), write=(extra,)), landlock_abi())
def attempt(path):
    try: return open(path).read()
    except PermissionError: return "refused"
seen = []
thread = threading.Thread(target=lambda: seen.append(attempt("/etc/passwd"))); thread.start(); thread.join()
child = subprocess.run(["cat", "/etc/passwd"], capture_output=True, text=True)
extra.write_text("new")
print(seen, child.returncode, attempt(extra), attempt(own / "other"))
"""
    (tmp_path / "other").write_text("x")
    assert run(script, str(tmp_path)) == "['refused'] 1 new refused\n"
