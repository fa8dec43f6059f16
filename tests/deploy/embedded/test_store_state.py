"""run/store.json of a sealed process."""

from pathlib import Path

import pytest

from deploy.embedded.store_state import STATE_BYTES, StateFile
from schemas.errors import CustodyError
from schemas.runtime import Home, read_run_state


def test_readiness_is_announced_through_the_open_file(tmp_path: Path) -> None:
    home = Home(tmp_path)
    state = StateFile.open(home, "store")
    seen = read_run_state(home, "store")
    assert seen is not None and not seen.is_ready
    state.announce({"http": 18123}, {"sandbox": ["landlock"]})
    seen = read_run_state(home, "store")
    assert seen is not None and seen.is_ready
    assert (seen.ports, seen.detail, seen.started_at) == ({"http": 18123}, {"sandbox": ["landlock"]}, state.started_at)
    assert (tmp_path / "run" / "store.json").stat().st_size == STATE_BYTES
    with pytest.raises(CustodyError):
        state.announce({}, {"x": "y" * STATE_BYTES})
