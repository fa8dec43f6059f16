import json
import subprocess
import sys
from urllib.parse import urlsplit

import pytest

from console import control
from ingest.identity import Identities, LoginRefused
from schemas.events import ControlKind
from schemas.resources import Resource
from schemas.runtime import Home
from tests.console.conftest import Run


@pytest.fixture
def orders(custody: Run, home: Home) -> str:
    name = "connect-orders"
    add = ("resource", "add", name, "--protocol", "postgres", "--listen", "25530", "--upstream", "db:5432")
    assert custody(*add, "--database", "shop").code == 0
    return name


async def login(url: str) -> str:
    """The principal that a proxy sees behind a URL's credential."""
    place = control.find_place()
    parts = urlsplit(url)
    with control.open_view(place) as view:
        resource = Resource.model_validate(view.get(ControlKind.RESOURCE, "connect-orders"))
        identities = Identities(view, place.home.read_key("mint.key"))
        identity = await identities.login(parts.username or "", parts.password or "", resource)
        return f"{identity.credential.principal} {identity.credential.agent} {identity.credential.run_id}"


async def test_the_first_line_is_a_url_that_the_proxy_takes(custody: Run, orders: str) -> None:
    answer = custody("connect", orders, "--principal", "dana@x", "--agent", "bot", "--run-id", "r7")
    assert answer.code == 0
    url = answer.out.splitlines()[0]
    assert url.startswith("postgresql://bot-") and url.endswith("@127.0.0.1:25530/shop")
    assert await login(url) == "dana@x bot r7"


async def test_a_revoked_credential_is_refused(custody: Run, orders: str) -> None:
    document = json.loads(custody("connect", orders, "--json").out)
    assert custody("agent", "revoke", document["id"], "--reason", "test").out == f"{document['id']} revoked\n"
    assert custody("agent", "revoke", document["id"]).out == f"{document['id']} was revoked already\n"
    with pytest.raises(LoginRefused, match="revoked"):
        await login(document["url"])


def test_environment(custody: Run, orders: str) -> None:
    url, *exports = custody("connect", orders, "--env").out.splitlines()
    assert exports == [f"export DATABASE_URL='{url}'"]


def test_it_loads_no_client_of_secrets() -> None:
    code = "import sys, console.commands.connect; print({'urllib3', 'ingest.secrets.store'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_bad_input(custody: Run, orders: str) -> None:
    assert "there are: " in custody("connect", "nowhere").err
    assert custody("connect", orders, "--ttl", "100d").code == 2
    assert custody("connect", orders, "--ttl", "soon").code == 2
