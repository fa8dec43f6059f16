"""Distinctive secrets, made when a test runs, one set for each path: whatever is found later says where it leaked.

Nothing in this file is a secret or looks like a whole one.
"""

import base64
import json
import random
import string
from dataclasses import dataclass, field
from urllib.parse import quote

from console.demo.canaries import make_card, make_ssn

ALPHANUMERIC = string.ascii_letters + string.digits
KNOWN_BY_FORM = (
    "payment_card", "us_ssn", "email", "iban", "aws_access_key_id", "github_token", "slack_token", "openai_key",
    "anthropic_key", "jwt",
)  # fmt: skip
"""Labels of secrets that need no name beside them."""

# random.Random is enough: nobody guesses these, and a printed seed is not needed to say which one leaked.
_random = random.SystemRandom()


def pick(alphabet: str, count: int) -> str:
    return "".join(_random.choice(alphabet) for _ in range(count))


SHARED = "q7Z"


def mixed(count: int) -> str:
    """Letters and digits with some of each, so that no rule against words takes them for one."""
    return SHARED + pick(ALPHANUMERIC, count - 3)


def make_iban() -> str:
    body = "37040044" + pick(string.digits, 10)
    number = int(body + "131400")  # DE and two zeroes, as ISO 7064 wants
    return f"DE{98 - number % 97:02d}{body}"


def make_jwt() -> str:
    def part(document: dict[str, str]) -> str:
        return base64.urlsafe_b64encode(json.dumps(document).encode()).rstrip(b"=").decode()

    return f"{part({'alg': 'HS256', 'typ': 'JWT'})}.{part({'sub': mixed(12), 'jti': mixed(20)})}.{mixed(43)}"


@dataclass(frozen=True)
class Canaries:
    """The secrets of one path. `values` maps a label of masking to the secret as it must not be found."""

    path: str
    values: dict[str, str] = field(repr=False)
    pem_body: tuple[str, ...] = field(repr=False)

    @property
    def tag(self) -> str:
        """Harmless; stands beside the secrets and finds their record."""
        return f"tag{self.path.replace('-', '')}tag"

    @property
    def pem(self) -> str:
        kind = "PRIVATE KEY"
        return "\n".join((f"-----BEGIN {kind}-----", *self.pem_body, f"-----END {kind}-----"))

    @property
    def url(self) -> str:
        return f"postgresql://app:{self.values['url_password']}@db.internal/orders"

    def text(self) -> str:
        """All of them in prose, as an agent's statement or body may hold them."""
        v = self.values
        return (
            f"{self.tag} card {v['payment_card']} ssn {v['us_ssn']} mail {v['email']} iban {v['iban']}"
            f" aws {v['aws_access_key_id']} hub {v['github_token']} chat {v['slack_token']} ai {v['openai_key']}"
            f" other {v['anthropic_key']} jwt {v['jwt']} url {self.url} password={v['password']}\n{self.pem}\n"
        )

    def line(self) -> str:
        """The same without line breaks and without the key: for places that take one line."""
        return self.text().split("\n")[0]

    def json(self) -> str:
        """As a document: known by form in free values, the passwords by their names."""
        v = self.values
        document = {
            "tag": self.tag,
            "note": self.line(),
            "nested": {"password": v["json_password"], "list": [{"api_key": v["json_api_key"]}]},
            "pem": self.pem,
        }
        return json.dumps(document)

    def form(self) -> str:
        v = self.values
        names = {"tag": self.tag, "card": v["payment_card"], "ssn": v["us_ssn"], "email": v["email"]}
        names |= {"note": self.line(), "password": v["json_password"], "pem": self.pem}
        return "&".join(f"{name}={quote(value, safe='')}" for name, value in names.items())

    def random_parts(self) -> dict[str, str]:
        """Name of each secret of letters of both cases and digits -> what of it is drawn, without what all share."""
        v = self.values
        parts = {name: v[name] for name in ("url_password", "password", "json_password", "json_api_key")}
        parts |= {name: v[name].rpartition("-")[2].rpartition("_")[2] for name in ("github_token", "slack_token")}
        parts |= {"openai_key": v["openai_key"].rpartition("-")[2], "jwt": v["jwt"].rpartition(".")[2]}
        parts["anthropic_key"] = v["anthropic_key"].removesuffix("AA").rpartition("-")[2]
        lines = {f"pem line {number}": line for number, line in enumerate(self.pem_body)}
        return {name: part.removeprefix(SHARED) for name, part in parts.items()} | lines

    def needles(self) -> dict[str, str]:
        """Name of each secret -> what is searched: the key's lines are one secret each."""
        lines = {f"pem line {number}": line for number, line in enumerate(self.pem_body)}
        return {**self.values, **lines}


def make_canaries(path: str) -> Canaries:
    """A new set."""
    host = pick(string.ascii_lowercase, 8)
    return Canaries(
        path,
        {
            "payment_card": make_card("4"),
            "us_ssn": make_ssn(),
            "email": f"{pick(string.ascii_lowercase, 12)}@{host}.example.com",
            "iban": make_iban(),
            "aws_access_key_id": "AKIA" + pick(string.ascii_uppercase + "234567", 16),
            "github_token": "ghp" + "_" + mixed(36),
            "slack_token": "xoxb" + "-" + pick(string.digits, 12) + "-" + pick(string.digits, 12) + "-" + mixed(24),
            "openai_key": "sk-" + "proj-" + mixed(48),
            "anthropic_key": "sk-" + "ant-api03-" + mixed(93) + "AA",
            "jwt": make_jwt(),
            "url_password": mixed(18),
            "password": mixed(18),
            "json_password": mixed(18),
            "json_api_key": mixed(24),
        },
        tuple(pick(ALPHANUMERIC + "+/", 64) for _ in range(4)),
    )
