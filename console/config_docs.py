"""docs/configuration.md and the JSON Schemas, made from the models: the page cannot fall behind them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from schemas.config import RetentionClass, Settings
from schemas.resources import Document, Resource

MODELS: Final[dict[str, type[BaseModel]]] = {"settings": Settings, "resources": Document}

INTRODUCTION: Final = """\
# Configuration

`custody.yaml` holds the settings of the processes. It is looked for in the home directory, then in the working
directory; `$CUSTODY_CONFIG` names another file. Every key has a default, so no file is needed. All faults of a file are
reported together, each with its path, before anything starts. `custody config show` prints the settings in force,
`custody config check FILE` checks a file, `custody config schema` prints the JSON Schema for editors.

Secrets are never in this file: a resource names where its own is ([secrets.md](secrets.md)).

This page is written by `custody config docs`.

| variable | meaning |
|---|---|
| `CUSTODY_HOME` | the home directory; default `./.custody` |
| `CUSTODY_CONFIG` | the settings file; default `custody.yaml` in the home, then in the working directory |
| `CUSTODY_CACHE` | where archives of the embedded servers are kept, outside the checkout |
"""

RESOURCES: Final = """\
# Resources

Resources are not kept in `custody.yaml`: `custody apply -f FILE` or `custody resource add` writes them to control,
where every proxy follows them. Applying a file again changes nothing. Example:

```yaml
resources:
  - name: orders
    protocol: postgres
    listen: 15500
    upstream: {host: db.internal, port: 5432, tls: verify, user: agents, secret: env:ORDERS_PASSWORD}
    labels: {environment: production}
```
"""


@dataclass(frozen=True, slots=True)
class Key:
    """One setting: its dotted path, type, default and limits as text."""

    path: str
    type: str
    default: str
    limits: str
    description: str


def walk(model: type[BaseModel], prefix: str = "") -> Iterator[Key]:
    """Every setting of a model, depth first, sections resolved."""
    for name, field in model.model_fields.items():
        path = f"{prefix}{name}"
        inner = _inner_model(field.annotation)
        if inner is None:
            yield _key(path, field)
        else:
            yield from walk(inner[1], f"{path}{inner[0]}.")


def setting_paths() -> set[str]:
    """The dotted paths of all settings."""
    return {key.path for key in walk(Settings)}


def make_page() -> str:
    """docs/configuration.md."""
    parts = [INTRODUCTION]
    for name, field in Settings.model_fields.items():
        parts.append(f"\n## {name}\n\n{_sentence(field.description)}\n")
        inner = _inner_model(field.annotation)
        keys = list(walk(inner[1], f"{name}{inner[0]}.")) if inner else [_key(name, field)]
        parts.append(make_table(keys))
    parts.append(f"\n{RESOURCES}\n")
    parts.append(make_table(list(walk(Resource))))
    return "\n".join(part.rstrip("\n") for part in parts) + "\n"


def make_table(keys: list[Key]) -> str:
    """A Markdown table."""
    lines = ["", "| key | type | default | limits | meaning |", "|---|---|---|---|---|"]
    for key in keys:
        cells = (f"`{key.path}`", key.type, f"`{key.default}`" if key.default else "", key.limits, key.description)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)


def _key(path: str, field: FieldInfo) -> Key:
    return Key(path, _type_name(field.annotation), _default(field), _limits(field), field.description or "")


def _inner_model(annotation: Any) -> tuple[str, type[BaseModel]] | None:
    """(what stands between, model) for a section, a list of sections, or a map of sections by free names."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "", annotation
    arguments = get_args(annotation)
    if get_origin(annotation) is dict and len(arguments) == 2 and arguments[1] is RetentionClass:
        return ".<name>", RetentionClass
    if get_origin(annotation) is list and isinstance(arguments[0], type) and issubclass(arguments[0], BaseModel):
        return "[]", arguments[0]
    return None


def _type_name(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (dict, list):
        return f"{origin.__name__} of {_type_name(arguments[-1])}"
    if arguments:
        return " or ".join(f"`{argument}`" for argument in arguments if isinstance(argument, str))
    return {"str": "text", "int": "integer", "float": "number", "bool": "yes/no"}.get(
        getattr(annotation, "__name__", ""), "value"
    )


def _default(field: FieldInfo) -> str:
    if field.default is PydanticUndefined:
        return "" if field.is_required() else "{}"
    return "" if field.default == "" else str(field.default)


def _limits(field: FieldInfo) -> str:
    words = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    found = []
    for rule in field.metadata:
        found += [f"{sign} {getattr(rule, name)}" for name, sign in words.items() if hasattr(rule, name)]
    if field.is_required():
        found.append("required")
    return ", ".join(found)


def _sentence(text: str | None) -> str:
    return f"{(text or '')[:1].upper()}{(text or '')[1:]}."
