import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from console.control import Place
from console.probes import probe_resource, proxy_address
from schemas.config import Capture, Settings
from schemas.errors import Unreachable
from schemas.resources import Resource
from schemas.runtime import Home, announce_ready


@contextmanager
def listening() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def make(listen: int, port: int, **upstream: object) -> Resource:
    return Resource.model_validate(
        {
            "name": "r",
            "protocol": "postgres",
            "listen": listen,
            "upstream": {"host": "127.0.0.1", "port": port, **upstream},
        }
    )


def test_all_is_there(bare_home: Home) -> None:
    with listening() as upstream, listening() as proxy:
        found = probe_resource(
            Place(bare_home, Settings()), make(proxy, upstream, secret="file:upstream/demo-http.token")
        )
    assert [(result.name, result.is_ok) for result in found] == [("upstream", True), ("secret", True), ("proxy", True)]


def test_each_fault_is_told_by_itself(bare_home: Home) -> None:
    found = probe_resource(Place(bare_home, Settings()), make(0, 1, secret="env:CUSTODY_TEST_NOT_SET"))
    assert [result.is_ok for result in found] == [False, False, False]
    assert "refused" in found[0].detail
    assert "CUSTODY_TEST_NOT_SET" in found[1].detail
    assert "does not listen for r" in found[2].detail


def test_an_upstream_without_tls_is_a_fault_when_tls_is_asked_for(bare_home: Home) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        resource = make(0, listener.getsockname()[1], tls="require")

        import threading

        def refuse() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(8)
                connection.sendall(b"N")

        thread = threading.Thread(target=refuse)
        thread.start()
        result, *_ = probe_resource(Place(bare_home, Settings()), resource)
        thread.join()
    assert not result.is_ok
    assert "refuses TLS" in result.detail


def test_a_port_the_proxy_chose_comes_from_its_state(bare_home: Home) -> None:
    place = Place(bare_home, Settings(capture=Capture(bind="0.0.0.0", tls_certificate="c.pem", tls_key="k.pem")))
    with pytest.raises(Unreachable):
        proxy_address(place, make(0, 1))
    announce_ready(bare_home, "proxy-tcp", {"r": 4711})
    assert proxy_address(place, make(0, 1)) == ("127.0.0.1", 4711)


def test_who_else_listens_on_the_port_is_not_taken_for_the_proxy(bare_home: Home) -> None:
    with listening() as stranger:
        announce_ready(bare_home, "proxy-tcp", {}, alarms={"r": f"port {stranger}: Address already in use"})
        *_, proxy = probe_resource(Place(bare_home, Settings()), make(stranger, 1))
    assert not proxy.is_ok
    assert f"does not listen for r: port {stranger}: Address already in use" in proxy.detail
