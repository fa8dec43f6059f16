"""custody.yaml: every fault at once, with its path; nothing hostile goes through."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.config import MAX_DOCUMENT_BYTES, Settings, find_settings, parse_settings
from schemas.errors import ConfigError
from schemas.runtime import Home


def test_every_fault_is_reported_with_its_path() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_settings("ports: {kafka: x}\nunknown: 1\nstore: {insert_rows: 0}")
    lines = str(caught.value).splitlines()
    assert [line.split(": ")[1] for line in lines] == ["ports.kafka", "store.insert_rows", "unknown"]


def test_faults_are_said_for_who_writes_the_file() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_settings("ports: {kafak: 1}\nstore: 3\nkafka: {bootstrap: 'broker:1'}")
    lines = str(caught.value).splitlines()
    assert "custody.yaml: ports.kafak: there is no such key" in lines
    assert "custody.yaml: store: a mapping of keys to values is expected" in lines
    assert not any("Value error" in line or "Model" in line for line in lines)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ports: [1\n", r"custody\.yaml: line 2, column 1: .*expected ',' or '\]'"),
        ("ports:\n\tkafka: 1", r"custody\.yaml: line 2, column 1: .*cannot start any token"),
        ("a: hunter2: b", r"custody\.yaml: line 1, column 11: mapping values are not allowed here"),
    ],
)
def test_yaml_faults_name_their_line_and_quote_no_value(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        parse_settings(text)
    assert "hunter2" not in str(caught.value)


def test_two_parts_cannot_have_one_port() -> None:
    with pytest.raises(ConfigError, match="ports: kafka and api are both 18170"):
        parse_settings("ports: {kafka: 18170}")
    parse_settings("ports: {kafka: 0, api: 0}")


def test_a_broker_elsewhere_is_not_reached_in_the_clear() -> None:
    for bootstrap in (
        "broker:9092",
        "127.0.0.1:1, 10.0.0.7:9092",
        "[2001:db8::1]:9092",
        "SASL_SSL://broker:1",
        "0.0.0.0:1",
    ):
        with pytest.raises(
            ConfigError, match=r"custody\.yaml: kafka\.security_protocol: .*is not loopback: set SASL_SSL"
        ):
            parse_settings(f"kafka: {{bootstrap: '{bootstrap}'}}")
        assert parse_settings(f"kafka: {{bootstrap: '{bootstrap}', security_protocol: SASL_SSL}}")
    for bootstrap in ("", "127.0.0.1:9092", "localhost:1,[::1]:2", "127.8.8.8"):
        assert parse_settings(f"kafka: {{bootstrap: '{bootstrap}'}}")


def test_a_registry_is_an_address_without_credentials() -> None:
    for url in (
        "registry:8081",
        "ftp://r",
        "http://",
        "http://r:x",
        "http://a:hunter2@r",
        "http://r/?a=1",
        "http://r\n/",
    ):
        with pytest.raises(ConfigError, match=r"schema_registry\.url: ") as refused:
            parse_settings(json.dumps({"schema_registry": {"url": url}}))
        assert "hunter2" not in str(refused.value)
    for url in ("", "http://127.0.0.1:8081", "https://registry.example/base"):
        assert parse_settings(json.dumps({"schema_registry": {"url": url}})).schema_registry.url == url


def test_an_empty_file_is_all_defaults() -> None:
    assert parse_settings("") == Settings()


@pytest.mark.parametrize("bind", ["0.0.0.0", "10.0.0.1", "::", "gateway.example"])
def test_an_exposed_listener_needs_tls(bind: str) -> None:
    with pytest.raises(ConfigError, match=r"capture: .*not loopback"):
        parse_settings(f"capture: {{bind: '{bind}'}}")
    parse_settings(f"capture: {{bind: '{bind}', tls_certificate: c.pem, tls_key: k.pem}}")


@pytest.mark.parametrize("bind", ["127.0.0.1", "127.8.9.1", "::1", "localhost"])
def test_loopback_needs_none(bind: str) -> None:
    assert parse_settings(f"capture: {{bind: '{bind}'}}").capture.bind == bind


def test_aliases_are_refused() -> None:
    with pytest.raises(ConfigError, match="aliases"):
        parse_settings("a: &a [1]\nb: [*a, *a]")


def test_a_huge_document_is_refused() -> None:
    with pytest.raises(ConfigError, match="larger"):
        parse_settings(" " * (MAX_DOCUMENT_BYTES + 1))


def test_the_homes_own_file_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "custody.yaml").write_text("ports: {kafka: 1}")
    home = Home(tmp_path / "home")
    home.root.mkdir()
    assert find_settings(home).ports.kafka == 1
    (home.root / "custody.yaml").write_text("ports: {kafka: 2}")
    assert find_settings(home).ports.kafka == 2


def test_a_named_file_that_is_missing_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CUSTODY_CONFIG", str(tmp_path / "absent.yaml"))
    with pytest.raises(ConfigError, match=r"absent\.yaml: No such file or directory$"):
        find_settings(Home(tmp_path))


def test_the_json_schema_describes_every_key() -> None:
    text = json.dumps(Settings.model_json_schema())
    assert '"description"' in text

    def undescribed(node: object, path: str) -> list[str]:
        found: list[str] = []
        if isinstance(node, dict):
            for name, item in node.get("properties", {}).items():
                if "description" not in item:
                    found.append(f"{path}.{name}")
            for key, item in node.get("$defs", {}).items():
                found += undescribed(item, key)
        return found

    assert undescribed(Settings.model_json_schema(), "settings") == []


@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda data: data.decode("latin-1")))
@settings(max_examples=200, deadline=None)
def test_hostile_text_is_settings_or_a_config_error(text: str) -> None:
    try:
        assert isinstance(parse_settings(text), Settings)
    except ConfigError:
        return


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ports: {kafka: 99999}", "ports.kafka: must be at most 65535"),
        ("ports: {kafka: -1}", "ports.kafka: must be at least 0"),
        ("ports: {kafka: x}", "ports.kafka: a whole number is expected"),
        ("ports: {kafka: 1.5}", "ports.kafka: a whole number is expected"),
        ("capture: {audit_timeout_s: 0}", "capture.audit_timeout_s: must be more than 0.0"),
        ("capture: {audit_timeout_s: soon}", "capture.audit_timeout_s: a number is expected"),
        ("capture: {bind: 7}", "capture.bind: text is expected"),
        ("retention: {require_log: perhaps}", "retention.require_log: yes or no is expected"),
        ("masking: {free_text: some}", "masking.free_text: must be 'off' or 'presidio'"),
        ("ports: 7", "ports: a mapping of keys to values is expected"),
    ],
)
def test_faults_are_said_for_those_who_write_the_file(text: str, words: str) -> None:
    with pytest.raises(ConfigError) as raised:
        parse_settings(text)
    assert str(raised.value) == f"custody.yaml: {words}"
