"""The embedded Kafka broker: one KRaft process on loopback, SCRAM for clients, ACLs that deny by default."""

import base64
import os
import secrets
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from deploy.embedded.jars import fetch_kafka, require_tool
from deploy.embedded.process import LOOPBACK, StackError, is_listening, require_free_port, spawn
from deploy.embedded.server import Server
from schemas.topics import MAX_RECORD_BYTES

ADMIN: Final = "admin"
CONTROLLER: Final = "controller"
START_TIMEOUT_S: Final = 90.0
STOP_TIMEOUT_S: Final = 20.0
SCRAM_LOGIN: Final = "org.apache.kafka.common.security.scram.ScramLoginModule"
PLAIN_LOGIN: Final = "org.apache.kafka.common.security.plain.PlainLoginModule"

# Console only: the process's output goes to the log file of whoever starts it.
LOG4J: Final = """\
status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{yyyy-MM-dd HH:mm:ss.SSS} %p %c{1}: %m%n
rootLogger.level = warn
rootLogger.appenderRef.console.ref = console
# Every refused request is reported to its client; a line each would let an agent fill the disk.
logger.network.name = org.apache.kafka.common.network
logger.network.level = error
"""


@dataclass(frozen=True)
class BrokerSettings:
    """`passwords` maps each component, `admin` among them, to its SCRAM password (URL-safe characters).

    `is_brief`: the broker lives for a minute or two. Java's second compiler halves what a request costs, but takes some
    seconds of processor time first.
    """

    home: Path
    port: int
    controller_port: int
    passwords: Mapping[str, str] = field(repr=False)
    log_path: Path
    heap_mb: int = 512
    is_brief: bool = False
    # Topics are evidence: in the embedded stack nobody, admin included, deletes one through the protocol.
    can_delete_topics: bool = False
    env: Mapping[str, str] = field(default_factory=lambda: dict(os.environ), repr=False)


def make_client_config(bootstrap: str, component: str, password: str) -> dict[str, str]:
    """librdkafka settings with which `component` logs in."""
    return {
        "bootstrap.servers": bootstrap,
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "SCRAM-SHA-256",
        "sasl.username": component,
        "sasl.password": password,
    }


def make_properties(settings: BrokerSettings, data_dir: Path, controller_password: str) -> dict[str, str]:
    """server.properties as a mapping."""
    admin = f'username="{ADMIN}" password="{settings.passwords[ADMIN]}"'
    controller = f'username="{CONTROLLER}" password="{controller_password}" user_{CONTROLLER}="{controller_password}"'
    client_url = f"CLIENT://{LOOPBACK}:{settings.port}"
    controller_url = f"CONTROLLER://{LOOPBACK}:{settings.controller_port}"
    return {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@{LOOPBACK}:{settings.controller_port}",
        "log.dirs": str(data_dir),
        "listeners": f"{client_url},{controller_url}",
        "advertised.listeners": client_url,
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "CLIENT",
        "listener.security.protocol.map": "CLIENT:SASL_PLAINTEXT,CONTROLLER:SASL_PLAINTEXT",
        "sasl.enabled.mechanisms": "SCRAM-SHA-256",
        "sasl.mechanism.inter.broker.protocol": "SCRAM-SHA-256",
        "listener.name.client.sasl.enabled.mechanisms": "SCRAM-SHA-256",
        "listener.name.client.scram-sha-256.sasl.jaas.config": f"{SCRAM_LOGIN} required {admin};",
        # SCRAM credentials live in the metadata log, which the controller must be able to serve before it has
        # read them: so its listener takes PLAIN, with one user that exists nowhere else.
        "sasl.mechanism.controller.protocol": "PLAIN",
        "listener.name.controller.sasl.enabled.mechanisms": "PLAIN",
        "listener.name.controller.plain.sasl.jaas.config": f"{PLAIN_LOGIN} required {controller};",
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": f"User:{ADMIN};User:{CONTROLLER}",
        "allow.everyone.if.no.acl.found": "false",
        "auto.create.topics.enable": "false",
        "delete.topic.enable": str(settings.can_delete_topics).lower(),
        "unclean.leader.election.enable": "false",
        "min.insync.replicas": "1",
        "default.replication.factor": "1",
        "offsets.topic.replication.factor": "1",
        "offsets.topic.num.partitions": "4",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "transaction.state.log.num.partitions": "4",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        "group.initial.rebalance.delay.ms": "0",
        "message.max.bytes": str(MAX_RECORD_BYTES),
        "log.cleaner.dedupe.buffer.size": str(16 * 1024 * 1024),
        # After kill -9 the only broker waits for its former self to expire (9 s by default).
        "broker.session.timeout.ms": "3000",
        "broker.heartbeat.interval.ms": "500",
        "connection.failed.authentication.delay.ms": "500",
    }


class Broker(Server):
    """Formats its storage on the first start, reuses it afterwards."""

    name = "kafka"
    start_timeout_s = START_TIMEOUT_S
    stop_timeout_s = STOP_TIMEOUT_S

    def __init__(self, settings: BrokerSettings) -> None:
        super().__init__()
        self.settings = settings

    @property
    def bootstrap(self) -> str:
        """`host:port` of the client listener."""
        return f"{LOOPBACK}:{self.settings.port}"

    @property
    def data_dir(self) -> Path:
        """Kafka's log directory."""
        return self.settings.home / "data"

    def client_config(self, component: str) -> dict[str, str]:
        """librdkafka settings with which `component` logs in; KeyError for an unknown one."""
        return make_client_config(self.bootstrap, component, self.settings.passwords[component])

    @property
    def log_path(self) -> Path:
        return self.settings.log_path

    def _spawn(self) -> subprocess.Popen[bytes]:
        """See `Server`."""
        require_free_port("kafka", self.settings.port)
        require_free_port("kafka controller", self.settings.controller_port)
        java = require_tool("java")
        jars = fetch_kafka()
        self._prepare(java, jars)
        argv = self._java_argv(java, jars, is_brief=self.settings.is_brief)
        argv += ["kafka.Kafka", str(self.settings.home / "server.properties")]
        return spawn(argv, log_path=self.log_path, env=_java_env(self.settings.env))

    def is_ready(self) -> bool:
        """Whether the broker answers a logged-in request."""
        if not is_listening(self.settings.port):
            return False
        try:
            AdminClient({**self.client_config(ADMIN), "log_level": 0}).list_topics(timeout=2.0)
        except KafkaException:
            return False
        return True

    def _prepare(self, java: str, jars: Path) -> None:
        home = self.settings.home
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        shutil.rmtree(home / "tmp", ignore_errors=True)
        (home / "tmp").mkdir(mode=0o700)
        (home / "log4j2.properties").write_text(LOG4J)
        # Only this process's own two roles use it, so each start makes a new one.
        controller_password = secrets.token_urlsafe(32)
        if not (self.data_dir / "meta.properties").is_file():
            self._format(java, jars, controller_password)
        _write_properties(
            home / "server.properties", make_properties(self.settings, self.data_dir, controller_password)
        )

    def _format(self, java: str, jars: Path, controller_password: str) -> None:
        """Format a sibling directory and rename it, so that an interrupted format is done again."""
        shutil.rmtree(self.data_dir, ignore_errors=True)
        with tempfile.TemporaryDirectory(dir=self.settings.home, prefix="format.") as scratch_name:
            scratch = Path(scratch_name)
            _write_properties(
                scratch / "server.properties",
                make_properties(self.settings, scratch / "data", controller_password),
            )
            # An argument file, because every user of this machine can read a command line.
            _write_private(scratch / "arguments", "\n".join(self._format_arguments(scratch)))
            done = subprocess.run(
                [*self._java_argv(java, jars, is_brief=True), "kafka.tools.StorageTool", f"@{scratch / 'arguments'}"],
                capture_output=True,
                text=True,
                timeout=START_TIMEOUT_S,
                check=False,
                umask=0o077,
                env=_java_env(self.settings.env),
            )
            if done.returncode:
                lines = (done.stderr or done.stdout).strip().splitlines()
                raise StackError(f"kafka storage could not be formatted: {_hide(lines[-1:], self.settings)}")
            (scratch / "data").rename(self.data_dir)

    def _format_arguments(self, scratch: Path) -> list[str]:
        arguments = [
            "format",
            f"--cluster-id={_make_cluster_id()}",
            f"--config={scratch / 'server.properties'}",
        ]
        for component, password in self.settings.passwords.items():
            arguments.append(f"--add-scram=SCRAM-SHA-256=[name={component},password={password}]")
        return arguments

    def _java_argv(self, java: str, jars: Path, *, is_brief: bool) -> list[str]:
        home = self.settings.home
        return [
            java,
            "-Xms128m",
            f"-Xmx{self.settings.heap_mb}m",
            # Little garbage, few cores: the serial collector costs the least.
            "-XX:+UseSerialGC",
            *(["-XX:TieredStopAtLevel=1"] if is_brief else []),
            "-XX:+ExitOnOutOfMemoryError",
            "-XX:-UsePerfData",
            "-Djava.awt.headless=true",
            f"-Djava.io.tmpdir={home / 'tmp'}",
            f"-Dlog4j2.configurationFile={home / 'log4j2.properties'}",
            "-Dlog4j2.disable.jmx=true",
            "-cp",
            f"{jars}/*",
        ]


def _make_cluster_id() -> str:
    """A Kafka Uuid: 22 characters of URL-safe Base64 that do not begin with a dash."""
    while (cluster_id := base64.urlsafe_b64encode(uuid.uuid4().bytes)[:22].decode()).startswith("-"):
        pass
    return cluster_id


def _hide(lines: list[str], settings: BrokerSettings) -> str:
    text = " ".join(lines)[:300] or "no output"
    for password in settings.passwords.values():
        text = text.replace(password, "(hidden)")
    return text


def _java_env(env: Mapping[str, str]) -> dict[str, str]:
    """`env` without variables by which Java or Kafka would take other options."""
    ignored = {"JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS", "JDK_JAVA_OPTIONS", "CLASSPATH"}
    return {name: value for name, value in env.items() if name not in ignored}


def _write_properties(path: Path, properties: Mapping[str, str]) -> None:
    _write_private(path, "".join(f"{key}={value}\n" for key, value in properties.items()))


def _write_private(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
