"""Settings of detection: what follows by itself from a detection."""

from typing import Literal

from pydantic import Field

from schemas.settings_base import Model


class Detection(Model):
    """What detections bring about. By default people are told, and nothing is stopped."""

    quarantine: dict[str, Literal["agent", "session"]] = Field(
        default_factory=dict, description="rule -> whom its detections stop at once; empty: nobody"
    )
    max_quarantines_per_hour: int = Field(
        3, ge=1, le=1000, description="more detections than that stop nobody, and raise an alarm"
    )
    never_quarantine: list[str] = Field(
        default_factory=list, description="agents that no detection stops; `*` stands for any text"
    )
