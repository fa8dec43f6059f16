"""Ten thousand hostile strings: bounded time and memory, the secret found through whatever it is dressed in."""

import base64
import random
import resource
import time
import urllib.parse
from collections.abc import Callable

import pytest

from tests.masking.helpers import masker

SEED = 7
COUNT = 10_000
CARD = "5555555555554444"
TOKEN = "ghp_J6xZGWtmeTtfosi0Tzswz26DfQ81LpNc9Qa2"
INVISIBLE = "\u200b\u200c\u200d\u2060\ufeff\u00ad\u200e\u200f\u202a\u202e"

DRESSES: list[Callable[[random.Random, str], str]] = [
    lambda rng, s: s,
    lambda rng, s: "".join(c + rng.choice(INVISIBLE) for c in s),
    lambda rng, s: "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in s),
    lambda rng, s: "\u202e" + s + "\u202c",
    lambda rng, s: base64.b64encode(s.encode()).decode(),
    lambda rng, s: s.encode().hex(),
    lambda rng, s: urllib.parse.quote(s, safe="").replace("4", "%34"),
    lambda rng, s: "".join(f"\\u{ord(c):04x}" for c in s),
    lambda rng, s: base64.b64encode(base64.b64encode(s.encode())).decode(),
    lambda rng, s: s[:9] + "\\\n" + s[9:],
    lambda rng, s: f"\x1b[31m{s}\x1b[0m",
]  # fmt: skip
FILLERS: list[Callable[[random.Random], str]] = [
    lambda rng: rng.choice("a4@=%:\"'\\({[<‹-_./+ \n\0") * rng.randrange(1, 400),
    lambda rng: "".join(rng.choices("aA4 @=:%\"'\\(){}[]<>,;|\n\t-_./+‹›é", k=rng.randrange(150))),
    lambda rng: "password" * rng.randrange(40),
    lambda rng: '{"a":' * rng.randrange(60),
    lambda rng: "a@" * rng.randrange(15),
    lambda rng: "1-" * rng.randrange(15),
    lambda rng: "x=y&" * rng.randrange(60),
    lambda rng: "password | token\n" * rng.randrange(15),
    lambda rng: "".join(rng.choices(INVISIBLE, k=rng.randrange(60))),
    lambda rng: "password is " * rng.randrange(15),
    lambda rng: "-----BEGIN " * rng.randrange(30),
    lambda rng: '"a" + ' * rng.randrange(40),
]  # fmt: skip


def hostile(rng: random.Random, secret: str) -> str:
    return f"{rng.choice(FILLERS)(rng)}\n ({rng.choice(DRESSES)(rng, secret)}) \n{rng.choice(FILLERS)(rng)}"


@pytest.mark.parametrize("part", range(4))
def test_ten_thousand_hostile_strings(part: int) -> None:
    rng = random.Random(SEED + part)
    count = COUNT // 4
    texts = [hostile(rng, rng.choice((CARD, TOKEN))) for _ in range(count)]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.process_time()
    for low in range(0, count, 100):
        for masked in masker().mask_batch(texts[low : low + 100]):
            assert masked is not None and CARD not in masked.text and TOKEN not in masked.text
    per_kib = (time.process_time() - started) / (sum(map(len, texts)) / 1024)
    assert per_kib < 0.02  # seconds of CPU: a guard against what is not linear, not a benchmark
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 512 << 10


@pytest.mark.parametrize("dress", range(len(DRESSES)))
@pytest.mark.parametrize("secret", [CARD, TOKEN])
def test_a_secret_is_found_through_every_dress(dress: int, secret: str) -> None:
    text = f"value ({DRESSES[dress](random.Random(1), secret)}) end"
    masked = masker().mask_text(text)
    assert {"payment_card", "github_token"} & {f.label for f in masked.findings}
    assert masker().mask_text(masked.text).text == masked.text


@pytest.mark.parametrize(
    "piece",
    [
        "password=",
        "a,password,",
        '{"password":',
        "1 ",
        "-----BEGIN PRIVATE KEY-----",
        "token is ",
        '"a"\n"b"',
        "+1 ",
        "::",
    ],
)
def test_time_grows_with_the_length_and_no_faster(piece: str) -> None:
    def seconds(size: int) -> float:
        text = piece * (size // len(piece))
        started = time.process_time()
        masker().mask_text(text)
        return time.process_time() - started

    seconds(1000)
    short, long = seconds(200_000), seconds(600_000)  # both beyond prefilter.MAX_LOCATED where names abound
    assert long < 3 * 4 * max(short, 0.02)  # three times as long: four times what linear would be


@pytest.mark.soak
@pytest.mark.parametrize("piece", ["a", "4 ", "password=x ", '{"a":"b"},', "ghp_", "%41", "\u200b", "a@b.cd ", "YWFh"])
def test_lines_of_ten_megabytes(piece: str) -> None:
    masked = masker().mask_text(piece * (10_000_000 // len(piece)) + f" {CARD} ")
    assert CARD not in masked.text
