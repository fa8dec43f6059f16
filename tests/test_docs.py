"""The documentation names what there is, and what it names is there."""

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from bench.table import BEGIN, END, PAGE, make_tables, put_in
from console.cli import COMMANDS, cli
from console.config_docs import setting_paths, walk
from deploy.embedded.secrets import PROXIES, SIGNING_KEYS, STORE_ROLES, SYMMETRIC_KEYS
from ingest.codecs import postgres_startup, postgres_upstream
from ingest.listeners import PROTOCOLS
from ingest.relay import AUDIT_LOST, DENIED, OUTCOME_UNKNOWN
from masking.validators import VALIDATORS
from processors.detection.catalog import RULES
from schemas.events import EventKind
from schemas.resources import Resource
from schemas.topics import COMPONENTS, TOPICS
from sinks.runner import SINKS

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = (ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md")))
TEXTS = {page: page.read_text("utf-8") for page in PAGES}
ALL = "\n".join(TEXTS.values())

CODE = re.compile(r"```.*?```|`[^`\n]+`", re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
TEST = re.compile(r"\b(tests/[\w/]+\.py)(?:::(\w+))?")
REGISTRY = re.compile(
    r"(?i)\b(?:[\w-]+\.)*(?:pypi\.org|pythonhosted\.org|maven\.(?:apache\.)?org|npmjs\.(?:com|org)|golang\.org|crates\.io"
    r"|docker\.io|ghcr\.io|quay\.io|debian\.org|artifactory|nexus)\b(?!_)"
)
ABSOLUTE = re.compile(r"(?<![\w$.:/}~*-])/(?:home|root|work|tmp|usr|var|opt|etc|srv|mnt|proc|Users)/")

pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def code_of(page: Path) -> str:
    return "\n".join(CODE.findall(TEXTS[page]))


def commands(group: click.Group = cli, prefix: str = "custody") -> Iterator[str]:
    """Every command that does something, as it is typed."""
    for name in group.list_commands(click.Context(group)):
        command = group.get_command(click.Context(group), name)
        if isinstance(command, click.Group):
            yield from commands(command, f"{prefix} {name}")
        else:
            yield f"{prefix} {name}"


def anchors(page: Path) -> set[str]:
    """Headings as links name them."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", TEXTS[page], flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


# -- what there is, is named


def test_every_event_kind_is_described() -> None:
    assert [kind.value for kind in EventKind if f"`{kind.value}`" not in TEXTS[DOCS / "architecture.md"]] == []


def test_every_protocol_has_its_page() -> None:
    for name in (*PROTOCOLS, "http"):
        assert (DOCS / "protocols" / f"{name}.md").is_file(), name
        assert f"protocols/{name}.md" in TEXTS[ROOT / "README.md"], name


def test_every_sink_is_described() -> None:
    assert [name for name in SINKS if f"`{name}`" not in TEXTS[DOCS / "add-a-sink.md"]] == []


def test_every_setting_is_described() -> None:
    paths = setting_paths() | {key.path for key in walk(Resource)}
    assert sorted(path for path in paths if f"`{path}`" not in TEXTS[DOCS / "configuration.md"]) == []


def test_every_command_is_described() -> None:
    assert [command for command in commands() if f"### `{command}" not in TEXTS[DOCS / "commands.md"]] == []


def test_every_topic_and_login_is_described() -> None:
    assert [topic.name for topic in TOPICS if f"`{topic.name}`" not in TEXTS[DOCS / "architecture.md"]] == []
    keys = TEXTS[DOCS / "keys.md"]
    assert [name for name in (*COMPONENTS, *STORE_ROLES) if name not in keys] == []


def test_every_key_is_described() -> None:
    names = (*SYMMETRIC_KEYS, *SIGNING_KEYS, *PROXIES, "unseal")
    assert [name for name in names if f"`secrets/{name}.key`" not in TEXTS[DOCS / "keys.md"]] == []


def test_every_rule_and_validator_is_described() -> None:
    page = TEXTS[DOCS / "write-a-detector.md"]
    assert [name for name in (*(rule.id for rule in RULES), *VALIDATORS) if f"`{name}`" not in page] == []


def test_every_sqlstate_of_our_own_is_described() -> None:
    sources = [postgres_startup, postgres_upstream]
    texts = [Path(str(module.__file__)).read_text("utf-8") for module in sources]
    texts += [(ROOT / "ingest" / name).read_text("utf-8") for name in ("listeners.py", "postgres.py")]
    texts.append((ROOT / "ingest" / "codecs" / "postgres.py").read_text("utf-8"))
    sent = {AUDIT_LOST, DENIED, OUTCOME_UNKNOWN, *re.findall(r'"([0-9][0-9A-Z]{4})"', "\n".join(texts))}
    page = TEXTS[DOCS / "protocols" / "postgres.md"]
    assert sorted(code for code in sent if f"| {code} |" not in page) == []


# -- what is named, is there


@pages
def test_links_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(CODE.sub("", TEXTS[page])):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.is_file() or found.is_dir(), target
        if anchor:
            assert anchor in anchors(found), target


@pages
def test_tests_that_are_named_exist(page: Path) -> None:
    for path, name in TEST.findall(TEXTS[page]):
        assert (ROOT / path).is_file(), path
        if name:
            assert f"def {name}(" in (ROOT / path).read_text("utf-8"), f"{path}::{name}"


@pages
def test_commands_and_targets_that_are_named_exist(page: Path) -> None:
    code = code_of(page)
    named = set(re.findall(r"(?:^|[`$( ])custody ([a-z][a-z-]*)", code, re.MULTILINE))
    assert named - set(COMMANDS) == set()
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z][a-z-]*)", code)) - targets == set()


@pages
def test_source_files_that_are_named_exist(page: Path) -> None:
    named = re.findall(
        r"`((?:schemas|masking|policy|ingest|processors|sinks|deploy|console|bench)/[\w/.]+)`", TEXTS[page]
    )
    assert [path for path in named if "." in path and not (ROOT / path).exists()] == []


@pages
def test_no_registry_and_no_path_of_a_machine(page: Path) -> None:
    assert REGISTRY.findall(TEXTS[page]) == []
    assert ABSOLUTE.findall(TEXTS[page]) == []


def test_the_readme_has_one_command_for_tests() -> None:
    text = TEXTS[ROOT / "README.md"]
    assert re.findall(r"^make (?:test|check)\S*$", text, re.MULTILINE) == ["make test"]
    assert "pytest" not in text


# -- the page of figures


def test_figures_are_put_between_the_markers() -> None:
    entries = [
        {"name": "http.custody", "value": 1234.5, "unit": "requests/s", "peer": "http.direct", "ratio": 0.9},
        {"name": "postgres.gated.simple.16", "value": 2.0, "unit": "tps", "peer": "", "ratio": None},
        {"name": "postgres.gated.simple.4", "value": 1.0, "unit": "tps"},
    ]
    page = put_in(f"before\n\n{BEGIN}\nold\n{END}\n\nafter\n", make_tables(entries))
    assert page.startswith("before\n") and page.endswith("\nafter\n") and "old" not in page
    assert "| `http.custody` | 1,234 | requests/s | 0.90 | `http.direct` |" in page
    assert page.index("simple.4`") < page.index("simple.16`")
    assert put_in(page, make_tables(entries)) == page


def test_the_page_of_figures_has_its_markers() -> None:
    put_in(TEXTS[PAGE], make_tables([]))
    for text in ("", BEGIN, f"{END}{BEGIN}", f"{BEGIN}{BEGIN}{END}"):
        with pytest.raises(ValueError, match="markers"):
            put_in(text, "")
