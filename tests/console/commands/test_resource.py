import json

import pytest

from console.commands.resource import (
    UPSTREAM_WITHOUT_OPTION,
    WITHOUT_OPTION,
    add,
    keep_what_has_no_option,
    make_document,
)
from schemas.errors import ConfigError
from schemas.resources import Resource, Upstream
from schemas.runtime import Home
from tests.console.conftest import Run

OPTIONS = {"protocol": "http", "user": "", "database": "", "secret": "", "tls": "off", "principal": ""}


def test_a_resource_out_of_options() -> None:
    document = make_document("api", 80, "[::1]:8443", ("env=prod", "team=a=b"), dict(OPTIONS, tls="verify"))
    (entry,) = document.resources
    assert (entry.upstream.host, entry.upstream.port, entry.upstream.tls) == ("::1", 8443, "verify")
    assert entry.labels == {"env": "prod", "team": "a=b"}


@pytest.mark.parametrize(
    ("upstream", "labels", "words"),
    [("host", (), "HOST:PORT"), (":80", (), "HOST:PORT"), ("h:x", (), "HOST:PORT"), ("h:1", ("a",), "KEY=VALUE"),
     ("h:0", (), "port")],
)  # fmt: skip
def test_bad_options(upstream: str, labels: tuple[str, ...], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        make_document("api", 80, upstream, labels, dict(OPTIONS))


def test_settings_without_an_option_survive_a_change() -> None:
    before = Resource.model_validate(
        {
            "name": "api", "protocol": "http", "listen": 80, "on_opaque": "relay", "speaks": "mcp", "labels": {},
            "upstream": {"host": "h", "port": 1, "header": "X-Key", "scheme": "", "secret": "env:A", "ca_file": "/ca"},
            "limits": {"max_rows": 7},
        }
    )  # fmt: skip
    document = make_document("api", 81, "h:2", ("c=d",), dict(OPTIONS))
    (entry,) = keep_what_has_no_option(document, before).resources
    assert (entry.limits.max_rows, entry.on_opaque, entry.speaks) == (7, "relay", "mcp")
    assert (entry.upstream.header, entry.upstream.scheme, entry.upstream.ca_file) == ("X-Key", "", "/ca")
    assert (entry.listen, entry.upstream.port, entry.upstream.secret, entry.labels) == (81, 2, "", {"c": "d"})
    assert keep_what_has_no_option(document, None) == document
    other = before.model_copy(update={"protocol": "postgres"})
    assert keep_what_has_no_option(document, other) == document


def test_every_setting_has_an_option_or_is_kept() -> None:
    options = {parameter.name for parameter in add.params} | {"labels"}
    assert set(Resource.model_fields) - options == set(WITHOUT_OPTION)
    assert set(Upstream.model_fields) - options - {"host", "port"} == set(UPSTREAM_WITHOUT_OPTION)


def test_add_list_test_remove(custody: Run, home: Home) -> None:
    add = ("resource", "add", "console-res", "--protocol", "tcp", "--listen", "25520", "--upstream", "127.0.0.1:1")
    without = custody(*add)
    assert without.code == 2
    assert "principal" in without.err
    assert custody(*add, "--principal", "ops@x").out == "resource console-res added\n"
    assert custody(*add, "--principal", "ops@x").out == "nothing to change\n"
    assert "console-res" in custody("resource", "list").out
    listed = {entry["name"]: entry for entry in json.loads(custody("resource", "list", "--json").out)}
    assert listed["console-res"]["upstream"]["port"] == 1
    tested = custody("resource", "test", "console-res", "--json")
    assert tested.code == 2
    assert [check["check"] for check in json.loads(tested.out)] == ["upstream", "secret", "proxy"]
    assert custody("resource", "remove", "console-res").out == "resource console-res removed\n"
    gone = custody("resource", "remove", "console-res")
    assert gone.code == 2
    assert "no resource 'console-res'" in gone.err
