"""What can go wrong before the first step; test_runner.py runs every step through real proxies."""

import pytest

from console.demo.canaries import make_canaries
from console.demo.executor import Access, execute
from console.demo.plan import make_plan
from schemas.errors import Unreachable

ACCESS = Access("run-1", "postgresql://x:secret-1@127.0.0.1:1/db", "http://127.0.0.1:1", "x:secret-1", "", "")


def test_no_proxy_no_demo() -> None:
    with pytest.raises(Unreachable, match="refused the agent") as caught:
        list(execute(ACCESS, make_plan(make_canaries())))
    assert "secret-1" not in str(caught.value)


def test_access_does_not_show_its_secrets() -> None:
    assert repr(ACCESS) == "Access(run_id='run-1')"
