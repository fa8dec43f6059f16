"""`custody.yaml`: process settings, parsed once at start, all faults reported together with their path.

Resources are not kept here: they enter the control topic (`custody apply -f`), see `schemas/resources.py`. Secrets
are never in the file: they are files under `secrets/` of the home, or environment variables.
"""

import os
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import urlsplit

import yaml
from pydantic import Field, ValidationError, ValidationInfo, field_validator, model_validator

from schemas.api_config import Api
from schemas.detection_config import Detection
from schemas.errors import ConfigError
from schemas.identity_config import Identity
from schemas.retention_config import Retention as Retention
from schemas.retention_config import RetentionClass as RetentionClass
from schemas.runtime import Home, find_home
from schemas.secrets_config import Secrets
from schemas.settings_base import Model as Model
from schemas.settings_base import is_loopback as is_loopback


def hosts_of(bootstrap: str) -> list[str]:
    """The hosts of Kafka's `host:port,…`; an IPv6 address stands in brackets there."""
    addresses = [item.strip().rpartition("://")[2] for item in bootstrap.split(",") if item.strip()]
    return [item.rpartition(":")[0] if item.count(":") == 1 or "]:" in item else item for item in addresses]


class Ports(Model):
    """Ports on the bind address; 0 picks a free one (for tests)."""

    kafka: int = Field(19092, ge=0, le=65535, description="embedded broker, client listener")
    kafka_controller: int = Field(19093, ge=0, le=65535, description="embedded broker, controller listener")
    store: int = Field(18123, ge=0, le=65535, description="embedded ClickHouse-HTTP front")
    http_proxy: int = Field(18080, ge=0, le=65535, description="regular HTTP(S) proxy for agents")
    demo_postgres: int = Field(15433, ge=0, le=65535, description="upstream of the demo: PostgreSQL")
    demo_http: int = Field(18090, ge=0, le=65535, description="upstream of the demo: HTTP API")
    demo_postgres_proxy: int = Field(15432, ge=0, le=65535, description="where agents reach the demo's PostgreSQL")
    demo_http_proxy: int = Field(18081, ge=0, le=65535, description="where agents reach the demo's HTTP API")
    api: int = Field(18170, ge=0, le=65535, description="REST API")
    witness: int = Field(18190, ge=0, le=65535, description="witness of the transparency log")
    demo_siem: int = Field(16514, ge=0, le=65535, description="syslog receiver of the demo")

    @model_validator(mode="after")
    def _each_is_its_own(self) -> "Ports":
        names: dict[int, str] = {}
        for name, port in self:
            if port and names.setdefault(port, name) != name:
                raise ValueError(f"{names[port]} and {name} are both {port}")
        return self


class Kafka(Model):
    """The broker. Empty bootstrap means the embedded one."""

    bootstrap: str = Field("", description="host:port,… of the brokers; empty: the embedded broker")
    security_protocol: Literal["SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "SASL_PLAINTEXT", description="SASL_PLAINTEXT only towards loopback", validate_default=True
    )
    ca_file: str = Field("", description="CA certificates for SASL_SSL")
    partitions: int = Field(4, ge=1, le=1000, description="partitions of the raw and sessions topics when created")
    replication: int = Field(1, ge=1, le=9, description="replicas of each topic when created; 3 in production")
    min_insync_replicas: int = Field(1, ge=1, le=9, description="replicas that make a record durable; 2 in production")

    @field_validator("security_protocol")
    @classmethod
    def _clear_text_only_to_loopback(cls, protocol: str, info: ValidationInfo) -> str:
        hosts = hosts_of(info.data.get("bootstrap", ""))
        exposed = next((host for host in hosts if not is_loopback(host)), None)
        if protocol == "SASL_PLAINTEXT" and exposed is not None:
            raise ValueError(f"bootstrap {exposed} is not loopback: set SASL_SSL")
        return protocol


class Store(Model):
    """ClickHouse. Empty url means the embedded store."""

    url: str = Field("", description="http(s)://host:port of ClickHouse; empty: the embedded store")
    insert_rows: int = Field(50_000, ge=1, description="most rows in one INSERT")
    insert_interval_ms: int = Field(200, ge=0, description="longest wait to fill an INSERT")
    max_insert_bytes: int = Field(512 << 20, ge=1 << 20, description="embedded store: largest INSERT, unpacked")
    max_result_bytes: int = Field(256 << 20, ge=1 << 20, description="embedded store: largest result of a query")
    max_query_s: int = Field(60, ge=1, description="embedded store: longest time a query may take")


class Capture(Model):
    """What the proxies do by default; a resource may say otherwise."""

    bind: str = Field("127.0.0.1", description="address the proxies listen on; not loopback only with TLS")
    public_host: str = Field(
        "",
        pattern=r"^[A-Za-z0-9.:-]{0,253}$",
        description="name by which agents reach the listeners; empty: this host's",
    )
    tls_certificate: str = Field("", description="PEM certificate chain of the proxies' own listeners")
    tls_key: str = Field("", description="PEM private key file (0600) of the listeners")
    audit_timeout_s: float = Field(5.0, gt=0, description="longest wait for a record to become durable")
    start_timeout_s: float = Field(
        60.0, gt=0, description="how long a starting proxy waits for the broker; then it ends"
    )
    max_unrecorded_bytes: int = Field(1 << 20, ge=4096, description="how far a stream may run past its record")
    max_pending_bytes: int = Field(64 << 20, ge=1 << 20, description="events waiting for the broker, per partition")
    max_batch_bytes: int = Field(512 << 10, ge=1 << 12, le=1 << 20, description="plain bytes of one batch")
    spool_max_bytes: int = Field(1 << 30, ge=1 << 20, description="most the spool keeps on disk")

    @model_validator(mode="after")
    def _exposed_only_with_tls(self) -> "Capture":
        if not is_loopback(self.bind) and not (self.tls_certificate and self.tls_key):
            raise ValueError(f"bind {self.bind} is not loopback: set tls_certificate and tls_key")
        return self


class Sealing(Model):
    """How batches are sealed to the masking processor: the parts of the HPKE suite (RFC 9180)."""

    kem: Literal["x25519", "mlkem768-x25519"] = Field(
        "x25519",
        description="kind of the unsealing key when one is made or rotated; mlkem768-x25519: hybrid post-quantum",
    )
    unseal_key: str = Field(
        "file:unseal.key",
        pattern=r"^(file|env|command):\S",
        description="masking only: where the unsealing keys are, named as for masking.token_key",
    )
    kdf: Literal["hkdf-sha256", "hkdf-sha384", "hkdf-sha512"] = Field(
        "hkdf-sha256", description="key derivation of the wrapping"
    )
    aead: Literal["aes-256-gcm", "chacha20-poly1305"] = Field("aes-256-gcm", description="cipher of the wrapping")


class Masking(Model):
    """The stream's masking."""

    raw_grace_s: int = Field(3600, ge=0, description="raw batches are trimmed this long after they were masked")
    token_key: str = Field(
        "file:token.key",
        pattern=r"^(file|env|command):\S",
        description="where the token keys are: file:NAME under secrets/, env:NAME, command:PROGRAM ARGUMENT… of a KMS",
    )
    free_text: Literal["off", "presidio"] = Field(
        "off", description="what finds names, places and affiliations in prose; presidio: the extra `free-text`"
    )
    free_text_model: str = Field(
        "en_core_web_lg", min_length=1, description="spaCy model that the operator installs: a package or a directory"
    )
    free_text_language: str = Field("en", pattern=r"^[a-z]{2,3}$", description="language of the model")

    @field_validator("free_text", mode="before")
    @classmethod
    def _read_off(cls, value: object) -> object:
        return "off" if value is False else value  # what YAML makes of a bare `off`


class Trace(Model):
    """How often `custody trace` is answered: without a limit it would find the value of any token by guessing."""

    per_minute: int = Field(10, ge=1, le=10_000, description="traces of one person within a minute")
    per_day: int = Field(100, ge=1, le=10_000, description="traces of one person within 24 hours")
    total_per_day: int = Field(500, ge=1, le=100_000, description="traces of all within 24 hours")


class Transparency(Model):
    """The transparency log: what commits to the record."""

    origin: str = Field("", description="name of the log, a URL without its scheme; empty: made from its first key")
    policy_file: str = Field("", description="tlog-policy of witnesses and quorum; empty: the embedded witness")
    require_witnesses: bool = Field(False, description="publish no checkpoint that the quorum has not signed")
    checkpoint_interval_ms: int = Field(500, ge=50, le=60_000, description="least time between two checkpoints")
    rehash_sample_s: float = Field(
        3600.0, ge=0, description="how often a sample of rows is compared with the log; 0: never"
    )
    rehash_full_s: float = Field(604_800.0, ge=0, description="how often every row is compared with the log; 0: never")
    signer_command: list[str] = Field([], description="program that signs (PKCS#11, KMS); empty: secrets/log.key")
    storage: str = Field("", description="s3://bucket/prefix for a copy of the log in any S3-compatible store")
    s3_endpoint: str = Field("", description="https://host of that store; empty: AWS")
    s3_region: str = Field("us-east-1", description="region that requests are signed for")
    s3_access_key: str = Field(
        "", description="access key; empty: AWS's usual sources (environment, profile, instance)"
    )
    s3_secret_key: str = Field("", description="secret of that access key: env:NAME or file:NAME")


class Syslog(Model):
    """RFC 5424 over TLS (RFC 5425)."""

    host: str = Field("", description="receiver; empty: the sink is off")
    port: int = Field(6514, ge=1, le=65535, description="receiver's port")
    ca_file: str = Field("", description="CA that signed the receiver's certificate")
    client_certificate: str = Field("", description="PEM certificate for mutual TLS")
    client_key: str = Field("", description="PEM key file (0600) for mutual TLS")
    server_name: str = Field("", description="name in the receiver's certificate when it is not the host")
    min_severity: Literal["info", "low", "medium", "high", "critical"] = Field(
        "info", description="detections below this are not sent"
    )


class Siem(Model):
    """Where alerts go."""

    syslog: Syslog = Field(default_factory=Syslog, description="syslog over TLS")
    checkpoint_interval_s: float = Field(
        60.0, ge=0, description="least time between two heads of the transparency log that are sent; 0: none"
    )


class Receiver(Model):
    """Who is told of actions that wait, by a webhook."""

    url: str = Field(
        ...,
        min_length=1,
        description="https://host/path, or where it is: env:NAME, file:NAME (of Slack and Teams it is a secret)",
    )
    form: Literal["custody", "slack", "teams"] = Field("custody", description="what is sent")
    secret: str = Field("", description="where the signing secret is: env:NAME or file:NAME; needed for form custody")
    ca_file: str = Field("", description="CA that signed the receiver's certificate")

    @model_validator(mode="after")
    def _own_form_is_signed(self) -> "Receiver":
        if self.form == "custody" and not self.secret:
            raise ValueError("form custody needs a secret: its receiver checks the signature")
        return self


class Approvals(Model):
    """Actions that wait for a person."""

    timeout_s: float = Field(
        120.0, gt=0, le=3600, description="how long an action waits when its policy does not say; then it is refused"
    )
    max_pending: int = Field(1000, ge=1, description="actions of one proxy that wait at a time; more are refused")
    max_pending_per_agent: int = Field(20, ge=1, description="the same for one agent of one principal")
    receivers: dict[str, Receiver] = Field(default_factory=dict, description="who is told, by name")


class SchemaRegistry(Model):
    """Confluent framing instead of single-object encoding."""

    url: str = Field("", description="http(s)://host:port of the registry; empty: single-object encoding")
    ca_file: str = Field("", description="CA that signed the registry's certificate")

    @field_validator("url")
    @classmethod
    def _is_an_address(cls, url: str) -> str:
        try:
            parts = urlsplit(url)
            is_whole = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        except ValueError:
            is_whole = False
        if url and (not is_whole or not url.isascii() or not url.isprintable() or " " in url):
            raise ValueError("not http(s)://host:port")
        if url and (parts.query or parts.fragment or "@" in parts.netloc):
            raise ValueError("an address only; credentials come from CUSTODY_REGISTRY_AUTH")
        return url


class Settings(Model):
    """All of custody.yaml."""

    ports: Ports = Field(default_factory=Ports, description="ports of the embedded stack")
    kafka: Kafka = Field(default_factory=Kafka, description="broker")
    store: Store = Field(default_factory=Store, description="ClickHouse")
    capture: Capture = Field(default_factory=Capture, description="proxies")
    sealing: Sealing = Field(default_factory=Sealing, description="sealing of raw batches")
    masking: Masking = Field(default_factory=Masking, description="masking in the stream")
    trace: Trace = Field(default_factory=Trace, description="limits of tracing values")
    retention: Retention = Field(default_factory=Retention, description="retention classes")
    transparency: Transparency = Field(default_factory=Transparency, description="transparency log")
    siem: Siem = Field(default_factory=Siem, description="alert forwarding")
    api: Api = Field(default_factory=Api, description="REST API")
    secrets: Secrets = Field(default_factory=Secrets, description="places of upstreams' secrets")
    identity: Identity = Field(default_factory=Identity, description="who people and workloads are")
    schema_registry: SchemaRegistry = Field(default_factory=SchemaRegistry, description="Avro registry")
    approvals: Approvals = Field(default_factory=Approvals, description="actions that wait for a person")
    detection: Detection = Field(default_factory=Detection, description="what follows from detections")
    policy_file: str = Field(
        "", description="Cedar file or folder applied when control holds no policy; `starter`: the shipped one"
    )
    policy_default: Literal["deny", "allow"] = Field("deny", description="when no policy speaks of an action")

    def bootstrap(self) -> str:
        """Kafka's address: configured or embedded."""
        return self.kafka.bootstrap or f"127.0.0.1:{self.ports.kafka}"

    def store_url(self) -> str:
        """ClickHouse's address: configured or embedded."""
        return self.store.url or f"http://127.0.0.1:{self.ports.store}"


_WORDS: Final = {
    "extra_forbidden": "there is no such key",
    "model_type": "a mapping of keys to values is expected",
    "dict_type": "a mapping of keys to values is expected",
    "list_type": "a list is expected",
    "missing": "is missing",
    "string_type": "text is expected",
    "int_type": "a whole number is expected",
    "int_parsing": "a whole number is expected",
    "int_from_float": "a whole number is expected",
    "float_type": "a number is expected",
    "float_parsing": "a number is expected",
    "bool_type": "yes or no is expected",
    "bool_parsing": "yes or no is expected",
    "literal_error": "must be {expected}",
    "less_than_equal": "must be at most {le}",
    "greater_than_equal": "must be at least {ge}",
    "greater_than": "must be more than {gt}",
    "string_too_short": "needs {min_length} characters or more",
    "string_pattern_mismatch": "must match the pattern {pattern}",
}
"""What the library says for programmers, said for those who write the file; with what it tells besides."""


def faults_of(error: ValidationError, name: str) -> str:
    """Every fault of a document on its own line: path: message. A fault of the whole has no path."""
    lines = []
    for fault in error.errors(include_input=False, include_url=False):
        words = _WORDS.get(fault["type"], "").format_map(fault.get("ctx", {}))
        words = words or fault["msg"].removeprefix("Value error, ")
        path = ".".join(str(part) for part in fault["loc"])
        lines.append(": ".join(part for part in (name, path, words) if part))
    return "\n".join(lines)


def parse_settings(text: str, name: str = "custody.yaml") -> Settings:
    """Settings from YAML text. Raises ConfigError with all faults at once."""
    document = load_yaml(text, name)
    try:
        return Settings.model_validate(document or {})
    except ValidationError as error:
        raise ConfigError(faults_of(error, name)) from None


MAX_DOCUMENT_BYTES = 4 << 20


def load_yaml(text: str, name: str) -> Any:
    """YAML data without aliases (a few bytes of aliases can expand without bound). Raises ConfigError."""
    if len(text) > MAX_DOCUMENT_BYTES:
        raise ConfigError(f"{name}: larger than {MAX_DOCUMENT_BYTES} bytes")
    try:
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, yaml.SafeLoader)):
            raise ConfigError(f"{name}: aliases are not allowed")
        return yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        raise ConfigError(f"{name}: {_place_of(error)}") from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise ConfigError(f"{name}: {str(error).splitlines()[0]}") from None


def _place_of(error: yaml.MarkedYAMLError) -> str:
    """Where YAML is wrong, in an editor's counting, and what is wrong there; never what stands there."""
    mark = error.problem_mark or error.context_mark
    where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    return where + " ".join(filter(None, (error.context, error.problem)))


def find_settings(home: Home | None = None) -> Settings:
    """Settings of a home: its custody.yaml, else ./custody.yaml, else the defaults. Raises ConfigError."""
    root = (home or Home(find_home())).root
    override = os.environ.get("CUSTODY_CONFIG")
    candidates = [Path(override)] if override else [root / "custody.yaml", Path("custody.yaml")]
    for path in candidates:
        if override or path.is_file():
            try:
                return parse_settings(path.read_text("utf-8"), path.name)
            except OSError as error:
                raise ConfigError(f"{path}: {error.strerror}") from None
            except UnicodeDecodeError as error:
                raise ConfigError(f"{path.name}: {error}") from None
    return Settings()
