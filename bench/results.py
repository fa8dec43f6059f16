"""bench/results.json: one entry a figure, sorted by name, so that a change of figures is a readable diff."""

import json
from pathlib import Path
from typing import Any

PATH = Path(__file__).with_name("results.json")


def record(name: str, value: float, unit: str, peer: str = "", ratio: float | None = None) -> None:
    """Put one figure in, replacing the one of that name."""
    entries: dict[str, dict[str, Any]] = {entry["name"]: entry for entry in load()}
    entries[name] = {
        "name": name,
        "value": round(value, 3),
        "unit": unit,
        "peer": peer,
        "ratio": None if ratio is None else round(ratio, 3),
    }
    text = json.dumps([entries[key] for key in sorted(entries)], indent=1)
    PATH.write_text(text + "\n")
    print(f"{name}: {value:,.1f} {unit}" + (f" ({ratio:.2f} of {peer})" if ratio is not None else ""))


def load() -> list[dict[str, Any]]:
    """All entries; none before the first run."""
    if not PATH.exists():
        return []
    entries: list[dict[str, Any]] = json.loads(PATH.read_text())
    return entries
