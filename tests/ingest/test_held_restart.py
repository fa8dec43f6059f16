"""What waited when a proxy was killed is gone, and approving it afterwards lets nothing through."""

import psycopg

from schemas.runtime import Home
from tests.ingest.test_held_sessions import Client
from tests.ingest.test_postgres import register
from tests.support.approvals import HOLDS, decide, policy_in_force, wait_for_held
from tests.support.postgres import Postgres
from tests.support.proxies import issue_credential, run_proxy


def test_after_a_kill_of_the_proxy_an_approval_is_for_nothing(home: Home, postgres_server: Postgres) -> None:
    with run_proxy(home) as proxy, policy_in_force(proxy, HOLDS):
        login = issue_credential(home, proxy.writer, "held-agent")
        port = register(proxy, postgres_server, "held-kill")
        client = Client(port, login)
        client.connection.execute("CREATE TABLE t AS SELECT 1 AS a")
        asked = client.execute("DELETE FROM t")
        event = wait_for_held(proxy, "held-kill")
        proxy.process.kill()
        asked.wait()
        assert isinstance(asked.error, psycopg.OperationalError)
        decide(proxy, event)
        with run_proxy(home) as again:
            again.wait_for(lambda: port in again.ports.values())
            decide(again, event)
            client = Client(port, login)
            again.wait_for(lambda: client.connection.execute("SELECT count(*) FROM t").fetchone() == (1,))
            asked = client.execute("DELETE FROM t")
            wait_for_held(again, "held-kill", 2)  # the same statement waits anew
            client.connection.cancel_safe()
            asked.wait()
            client.connection.close()
