"""Prepared homes: every secret, and a custody.yaml that points at the run's servers."""

import shutil
from pathlib import Path

import pytest
import yaml

from deploy.embedded.secrets import create_secrets
from schemas.cache import PrivateCache
from schemas.runtime import ENV_HOME, Home, write_private
from tests.support.compiled import keep_compiled
from tests.support.kafka import Kafka


@pytest.fixture(scope="session")
def secrets_home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """One set of secrets for the whole run, so that what one test wrote to a topic another can open.

    The detectors are compiled once, too: a process of a copied home would need two seconds for it.
    """
    home = Home(tmp_path_factory.mktemp("secrets") / "home")
    create_secrets(home)
    keep_compiled(PrivateCache(home.cache))
    return home


@pytest.fixture
def bare_home(secrets_home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A home of the test's own, with all secrets and no server; $CUSTODY_HOME names it."""
    root = tmp_path / "home"
    shutil.copytree(secrets_home.root, root)
    monkeypatch.setenv(ENV_HOME, str(root))
    return Home(root)


@pytest.fixture
def home(bare_home: Home, kafka: Kafka) -> Home:
    """A home whose settings and passwords are those of the shared broker."""
    connect_home(bare_home, kafka)
    return bare_home


def connect_home(home: Home, kafka: Kafka, **settings: object) -> None:
    """Write the broker's passwords and a custody.yaml with its address and `settings` (top-level sections)."""
    for component, password in kafka.passwords.items():
        write_private(home.secrets / f"kafka/{component}.password", password.encode())
    write_settings(home, **{"kafka": {"bootstrap": kafka.bootstrap}, **settings})


def write_settings(home: Home, **settings: object) -> None:
    """custody.yaml of a home."""
    (home.root / "custody.yaml").write_text(yaml.safe_dump(settings))
