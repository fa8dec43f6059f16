"""Ages that regulations ask for, by name. Data with its sources; months are counted at their longest.

Most presets bound how early something may go. GDPR's storage limitation bounds how late: it names no number, but asks
the organisation to choose one and keep to it (`retention.storage_limit_days`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from schemas.errors import ConfigError

STORAGE_LIMIT: Final = "gdpr-storage-limit"
STORAGE_LIMIT_DAYS: Final = 366
"""A year. CNIL recommends to keep logs of access for six months to one year (deliberation 2021-122, October 2021)."""


@dataclass(frozen=True, slots=True)
class Preset:
    """`min_days`: nothing younger may go. `max_days`: nothing older may stay; None: it does not say.

    `online_days`: so much must be at hand at once; the store keeps all so.
    """

    min_days: int
    max_days: int | None
    online_days: int
    source: str


PRESETS: Final[Mapping[str, Preset]] = {
    "pci-dss-4": Preset(366, None, 92, "PCI DSS 4.0.1, 10.5.1: 12 months, the last 3 immediately available"),
    "hipaa": Preset(2192, None, 0, "45 CFR 164.316(b)(2)(i): 6 years; whether raw logs count is undecided by HHS"),
    "sec-17a-4-b": Preset(1096, None, 731, "17 CFR 240.17a-4(b): 3 years, the first 2 easily accessible"),
    "sec-17a-4-a": Preset(2192, None, 731, "17 CFR 240.17a-4(a): 6 years, the first 2 easily accessible"),
    "eu-ai-act": Preset(184, None, 0, "Regulation (EU) 2024/1689, Articles 19 and 26(6): at least 6 months"),
    STORAGE_LIMIT: Preset(
        0,
        STORAGE_LIMIT_DAYS,
        0,
        "Regulation (EU) 2016/679, Article 5(1)(e): no longer than the purpose needs; days set by the organisation",
    ),
}


def find_preset(name: str) -> Preset:
    """A preset. Raises ConfigError for an unknown name."""
    if name not in PRESETS:
        raise ConfigError(f"no retention preset {name!r}; there are: {', '.join(PRESETS)}")
    return PRESETS[name]
