"""Secrets that look real and are random: valid by their issuers' rules, so that masking must find each of them."""

import secrets
import string
from dataclasses import dataclass, fields

_ALPHANUMERIC = string.ascii_letters + string.digits


@dataclass(frozen=True, slots=True, repr=False)
class Canaries:
    """What the demo's agent handles in one run and nobody may find on disk afterwards."""

    card: str
    second_card: str
    ssn: str
    aws_key: str
    github_token: str
    password: str

    def values(self) -> dict[str, str]:
        """Every secret by its name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def make_canaries() -> Canaries:
    """New ones for every run."""
    return Canaries(
        card=make_card("4"),
        second_card=make_card("51"),
        ssn=make_ssn(),
        aws_key="AKIA" + _pick(string.ascii_uppercase + "234567", 16),
        github_token="ghp_" + _pick(_ALPHANUMERIC, 36),
        password=_pick(_ALPHANUMERIC, 18),
    )


def make_card(prefix: str) -> str:
    """16 digits with a right Luhn check digit."""
    body = prefix + _pick(string.digits, 15 - len(prefix))
    return body + str(-luhn_sum(body + "0") % 10)


def luhn_sum(digits: str) -> int:
    """The Luhn sum; 0 modulo 10 for a valid number."""
    total = 0
    for position, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + position % 2)
        total += value - 9 if value > 9 else value
    return total


def make_ssn() -> str:
    """A number of the assigned shape: area 001-665, group 01-99, serial 0001-9999."""
    area, group, serial = secrets.randbelow(664) + 1, secrets.randbelow(98) + 1, secrets.randbelow(9998) + 1
    return f"{area:03d}-{group:02d}-{serial:04d}"


def _pick(alphabet: str, count: int) -> str:
    return "".join(secrets.choice(alphabet) for _ in range(count))
