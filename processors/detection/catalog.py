"""Every detection rule that runs: one line each."""

from typing import Final

from processors.detection import denied_burst, rows_beyond_past
from processors.detection.rule import Rule

RULES: Final[tuple[Rule, ...]] = (
    denied_burst.RULE,
    rows_beyond_past.RULE,
)
