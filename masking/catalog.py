"""Reads detectors from data files: one YAML a family, each detector with its cases next to it.

In a case `[[…]]` marks what must be masked, and `{+}` is removed: it keeps an example from looking like a live
secret to whoever scans this repository.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, Final

import re2
import yaml

from masking.expressions import Expression
from masking.finders import FINDERS
from masking.model import Case, Detector
from masking.names import AFTER_NAME, NAMES
from masking.validators import find_validator

NORMALIZERS: Final = ("none", "digits", "lower", "alnum")
_KEYS: Final = frozenset(
    (
        "name label description keywords gate pattern token finder group validator context normalize priority hit miss"
    ).split()
)
_NEEDED: Final = ("name", "label", "description", "hit", "miss")
_Loader: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MARK: Final = re.compile(r"\[\[(.*?)\]\]", re.DOTALL)


class CatalogError(ValueError):
    """A detector file is wrong; names the family, the detector and the fault."""


def rule_version(package: Traversable | None = None) -> str:
    """Names the detector set: 12 hex digits of a SHA-256 over the detector and name files, the same everywhere."""
    root = files("masking") if package is None else package
    paths = [path for path in (root / "detectors").iterdir() if path.name.endswith(".yaml")]
    digest = hashlib.sha256()
    for path in [*sorted(paths, key=lambda path: path.name), root / "names.yaml"]:
        content = path.read_bytes()
        digest.update(f"{path.name} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:12]


def load_detectors() -> tuple[Detector, ...]:
    """Every detector shipped in masking/detectors, in a fixed order."""
    folder = files("masking") / "detectors"
    paths = sorted((path for path in folder.iterdir() if path.name.endswith(".yaml")), key=lambda p: p.name)
    return tuple(detector for path in paths for detector in parse_family(path.name, path.read_text("utf-8")))


def parse_family(family: str, text: str) -> Iterator[Detector]:
    """The detectors of one file. Raises CatalogError."""
    try:
        entries = yaml.load(text, Loader=_Loader)  # noqa: S506 a safe loader, in C where it is built
    except yaml.YAMLError as error:
        raise CatalogError(f"{family}: {error}") from None
    if not isinstance(entries, list):
        raise CatalogError(f"{family}: expected a list of detectors")
    for entry in entries:
        name = f"{family}: {entry.get('name', '?')}" if isinstance(entry, dict) else family
        try:
            yield _parse(entry)
        except (TypeError, ValueError) as error:
            raise CatalogError(f"{name}: {error}") from error
        except re2.error as error:  # its words are bytes
            raise CatalogError(f"{name}: {error.args[0].decode('utf-8', 'replace')}") from error


def _parse(entry: dict[str, Any]) -> Detector:
    unknown = entry.keys() - _KEYS
    if unknown:
        raise ValueError(f"unknown keys {sorted(unknown)}")
    lacking = [key for key in _NEEDED if not entry.get(key)]
    if lacking:
        raise ValueError(f"needs {', '.join(lacking)}")
    keywords = tuple(str(word).lower().encode("ascii") for word in entry.get("keywords", ()))
    gates = tuple(_gates(entry.get("gate", "")))
    if bool(keywords) == bool(gates):
        raise ValueError("needs either keywords or a gate")
    if any(len(word) < 2 for word in keywords):
        raise ValueError("keywords need two characters or more")
    for gate in gates:
        Expression(gate)
    finder = _choose("finder", FINDERS.__getitem__, entry["finder"]) if "finder" in entry else None
    token = entry.get("token", "").encode("ascii")
    if ("pattern" in entry) + bool(token) + (finder is not None) != 1:
        raise ValueError("needs one of pattern, token and finder")
    if finder is not None and not gates:
        raise ValueError("a finder needs a gate")
    if token and not (keywords and all(chr(word[0]).isalnum() for word in keywords)):
        raise ValueError("a token begins with one of its keywords, which begin with a letter or digit")
    pattern = Expression(_BEFORE + token + _AFTER_RE2 if token else next(_expand(entry.get("pattern", "()"))))
    group = int(entry.get("group", 1))
    if group > pattern.groups:
        raise ValueError(f"the pattern has no group {group}")
    normalize = entry.get("normalize", "none")
    if normalize not in NORMALIZERS:
        raise ValueError(f"normalize is one of {NORMALIZERS}")
    return Detector(
        name=entry["name"],
        label=_label(entry["label"]),
        description=entry["description"],
        pattern=pattern,
        group=group,
        keywords=keywords,
        gates=gates,
        validator=_choose("validator", find_validator, entry.get("validator", "accept")),
        context=tuple(str(word).lower().encode() for word in entry.get("context", ())),
        normalize=normalize,
        priority=int(entry.get("priority", 5)),
        hits=tuple(_cases(entry["hit"])),
        misses=tuple(text.replace("{+}", "") for text in entry["miss"]),
        token=re.compile(b"(" + token + _AFTER) if token else None,
        finder=finder,
    )


# A token stands between what no identifier is made of; tried where a keyword begins, Python's engine will do.
_BEFORE: Final = rb"\b("
_AFTER: Final = rb")(?![\w-])"
_AFTER_RE2: Final = rb")(?:[^\w-]|\z)"


def _gates(gate: Any) -> Iterator[bytes]:
    """One expression, or several of which one has to match."""
    each = gate if isinstance(gate, list) else [gate]
    if not all(isinstance(one, str) for one in each):
        raise ValueError("a gate is an expression, or a list of them")
    for one in each:
        yield from _expand(one)


def _expand(pattern: str) -> Iterator[bytes]:
    """{NAMES}: the telling names of names.yaml, which make several expressions; {AFTER}: what may follow one."""
    pattern = pattern.replace("{AFTER}", AFTER_NAME)
    for names in NAMES if "{NAMES}" in pattern else [""]:
        if pattern:
            yield pattern.replace("{NAMES}", names).encode("ascii")


def _choose[T](what: str, find: Callable[[str], T], name: str) -> T:
    try:
        return find(name)
    except (AttributeError, ImportError, KeyError):
        raise ValueError(f"there is no {what} {name!r}") from None


def _label(label: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9_]{1,40}", label):
        raise ValueError(f"label {label!r} is not a lower-case word")
    return label


def _cases(texts: Iterable[str]) -> Iterator[Case]:
    for text in texts:
        plain, spans, position = "", [], 0
        text = text.replace("{+}", "")
        for mark in _MARK.finditer(text):
            plain += text[position : mark.start()]
            spans.append((len(plain), len(plain) + len(mark[1])))
            plain += mark[1]
            position = mark.end()
        if not spans:
            raise ValueError(f"the hit {text!r} marks nothing with [[…]]; what must stay is a miss")
        yield Case(plain + text[position:], tuple(spans))
