"""Groups of the principal and the ancestors of a credential, through a running gateway."""

import time
from collections.abc import Iterator

import psycopg
import pytest

from schemas.events import ControlKind
from schemas.runtime import Home
from tests.ingest.test_postgres import register, url
from tests.support.postgres import Postgres
from tests.support.proxies import Proxy, issue_credential, run_proxy, wait_for_trails

DEVELOPERS_READ = """
@id("developers-read") permit (principal in Group::"developers", action == Action::"read", resource);
@id("all-connect") permit (principal, action == Action::"connect", resource);
"""


@pytest.fixture
def proxy(home: Home) -> Iterator[Proxy]:
    with run_proxy(home) as running:
        running.writer.put(ControlKind.POLICY, "by-group", {"cedar": DEVELOPERS_READ})
        try:
            yield running
        finally:
            running.writer.put(ControlKind.POLICY, "by-group", None)  # control is shared with other tests


def test_a_policy_by_group_lets_one_and_not_the_other_and_both_are_recorded_with_their_groups(
    proxy: Proxy, postgres_server: Postgres
) -> None:
    port = register(proxy, postgres_server, "by-group")
    facts = {"agent_version": "1.2", "charter": "ab12"}
    inside = issue_credential(proxy.home, proxy.writer, "in-dev", groups=["security", "developers"], **facts)
    outside = issue_credential(proxy.home, proxy.writer, "in-sales", groups=["sales"])
    with psycopg.connect(url(port, inside), autocommit=True) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("CREATE TABLE t (a int)")
    with psycopg.connect(url(port, outside), autocommit=True) as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT 1")
    trails = wait_for_trails(proxy.home, "by-group", 2)
    attributes = {trail.context.credential_id: trail.context.attributes for trail in trails}
    assert attributes[inside.id].items() >= {"groups": "security,developers", **facts}.items()
    assert attributes[outside.id]["groups"] == "sales"


def test_a_session_ends_with_the_credential_that_its_own_was_derived_from(
    proxy: Proxy, postgres_server: Postgres
) -> None:
    port = register(proxy, postgres_server, "by-lineage")
    root = issue_credential(proxy.home, proxy.writer, "lineage-root")
    child = issue_credential(proxy.home, proxy.writer, "lineage-child", groups=["developers"], parents=[root.id])
    with psycopg.connect(url(port, child), autocommit=True) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
        proxy.writer.put(ControlKind.REVOCATION, root.id, {"reason": "compromised"})
        deadline = time.monotonic() + 20
        with pytest.raises(psycopg.OperationalError):
            while time.monotonic() < deadline:
                connection.execute("SELECT 1")
                time.sleep(0.05)
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url(port, child))
