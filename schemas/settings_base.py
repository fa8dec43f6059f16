"""What all settings have in common."""

import ipaddress

from pydantic import BaseModel, ConfigDict


class Model(BaseModel):
    """Base of all settings: unknown keys are faults, values are frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def is_loopback(host: str) -> bool:
    """Whether an address or name can only be this host."""
    try:
        return host == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
