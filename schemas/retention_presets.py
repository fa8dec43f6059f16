"""Least ages that regulations ask for, by name. Data with its sources; months are counted at their longest.

A preset only ever lengthens: what must go, and when, is the organisation's to say (GDPR names no number, but asks that
one is chosen and kept).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from schemas.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Preset:
    """`min_days`: nothing younger may go. `online_days`: so much must be at hand at once; the store keeps all so."""

    min_days: int
    online_days: int
    source: str


PRESETS: Final[Mapping[str, Preset]] = {
    "pci-dss-4": Preset(366, 92, "PCI DSS 4.0.1, 10.5.1: 12 months, the last 3 immediately available"),
    "hipaa": Preset(2192, 0, "45 CFR 164.316(b)(2)(i): 6 years; whether raw logs count is undecided by HHS"),
    "sec-17a-4-b": Preset(1096, 731, "17 CFR 240.17a-4(b): 3 years, the first 2 easily accessible"),
    "sec-17a-4-a": Preset(2192, 731, "17 CFR 240.17a-4(a): 6 years, the first 2 easily accessible"),
    "eu-ai-act": Preset(184, 0, "Regulation (EU) 2024/1689, Articles 19 and 26(6): at least 6 months"),
}


def find_minimum(presets: Iterable[str], own_days: int) -> int:
    """The longest of the presets' minimums and an own one, in days. Raises ConfigError for an unknown name."""
    unknown = [name for name in presets if name not in PRESETS]
    if unknown:
        raise ConfigError(f"no retention preset {unknown[0]!r}; there are: {', '.join(PRESETS)}")
    return max([own_days, *(PRESETS[name].min_days for name in presets)])
