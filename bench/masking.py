"""Masking on one core: MB/s of the full detector set against plain `re`, Presidio and detect-secrets, and quality.

`python -m bench.masking [RECORDS]`; with a number it is a quick look that records no figure. Every engine sees the
same texts in one run; each takes turns over slices, and the best slice counts (CPU seconds, so a busy machine only
adds noise). Presidio and detect-secrets come into a virtual environment of their own, made at the first run and kept
in the cache; where that fails (no network) their figures of the last run stay.

Quality: recall and precision by kind on the labelled set of bench/masking_corpus.py, into docs/masking-quality.md.
"""

import os
import random
import re
import subprocess
import sys
import time
import venv
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from bench.masking_corpus import Item, as_lines, make_corpus
from bench.masking_values import FORMED, PERSONAL, PREFIXED
from bench.results import record
from masking.catalog import load_detectors
from masking.engine import Masker
from masking.model import MaskedText
from masking.tokens import TokenKey

ROOT: Final = Path(__file__).parents[1]
PAGE: Final = ROOT / "docs" / "masking-quality.md"
REQUIREMENTS: Final = Path(__file__).with_name("masking-peers.txt")
RECORDS: Final = 20_000
RECORD_CHARS: Final = 350
SLICE: Final = 500
RARE_EVERY: Final = 100
COVERED: Final = 0.9  # of a value's characters must be masked for it to count as found
WORDS: Final = (
    "select insert update order customer request response status connection error timeout handler service worker queue "
    "index table column value row node cluster region level started finished retry cache hit miss bytes took"
).split()

Engine = Callable[[Sequence[str]], object]


def make_texts(count: int, *, every: int, seed: int = 3) -> list[str]:
    """Records of about 350 characters; each `every`-th holds one value to mask."""
    rng = random.Random(seed)
    kinds = [*(PREFIXED[kind] for kind in ("github", "stripe", "aws key id", "slack bot", "jwt"))]
    kinds += [PERSONAL[kind][1] for kind in FORMED]
    texts = []
    for index in range(count):
        value = rng.choice(kinds)(rng) if index % every == 0 else ""
        while len(value) < RECORD_CHARS:
            word = f"{rng.choice(WORDS)} {rng.randrange(10_000)} "
            value = word + value if rng.random() < 0.5 else f"{value} {word.strip()}"
        texts.append(value)
    return texts


def speed(engine: Engine, texts: Sequence[str], slices: int) -> float:
    """MB per CPU second, of the best slice."""
    best = 0.0
    for low in range(0, min(len(texts), slices * SLICE), SLICE):
        part = texts[low : low + SLICE]
        started = time.process_time()
        engine(part)
        best = max(best, sum(map(len, part)) / 1e6 / (time.process_time() - started))
    return best


def plain_engine() -> Engine:
    """The same rules, one after the other, through Python's re: what one would write without an engine."""
    rules = []
    for detector in load_detectors():
        if detector.finder is None:
            source = detector.pattern.pattern
            rules.append(re.compile(re.sub(rb"\\z", rb"\\Z", _flags_first(source))))
    return lambda texts: [rule.sub(b"", text.encode()) for text in texts for rule in rules]


def _flags_first(source: bytes) -> bytes:
    """RE2 takes (?i) anywhere, Python only in front."""
    return b"(?i)" + source.replace(b"(?i)", b"") if b"(?i)" in source else source


def peers(texts: list[str], name: str) -> Iterator[tuple[str, float]]:
    """(peer, MB/s) of each peer that could be installed."""
    python = install_peers()
    if python is None:
        return
    script = Path(__file__).with_name("masking_peers.py")
    done = subprocess.run(
        [str(python), "-c", f"import runpy; runpy.run_path({str(script)!r})['main']()"],
        input="\0".join(texts).encode(),
        capture_output=True,
        timeout=1800,
        check=False,
    )
    for line in done.stdout.decode().splitlines():
        peer, _, value = line.partition(" ")
        yield peer, float(value)
    if done.returncode:
        print(f"{name}: peers ended with {done.returncode}: {done.stderr.decode()[-300:]}", file=sys.stderr)


def install_peers() -> Path | None:
    """The interpreter of the peers' environment."""
    home = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "custody-bench" / "masking-peers"
    python = home / "bin" / "python"
    if not (home / "ready").exists():
        venv.create(home, with_pip=True, clear=True)
        command = [str(python), "-m", "pip", "install", "-q", "--require-hashes", "-r", str(REQUIREMENTS)]
        if subprocess.run(command, check=False).returncode:
            print("the peers could not be installed: their figures stay", file=sys.stderr)
            return None
        (home / "ready").touch()
    return python


# ── quality ──


class Score:
    """Counts of one kind: values there are, found, found exactly; and spans where nothing was."""

    def __init__(self) -> None:
        self.count = self.found = self.exact = 0


def judge(items: Sequence[Item], outcomes: Sequence[MaskedText | None], *, is_kept: bool) -> dict[str, float]:
    """Figures of the whole set; with `is_kept` the table by kind is written."""
    kinds: dict[tuple[str, str], Score] = {}
    extra: Counter[str] = Counter()
    touched: Counter[str] = Counter()
    records = full = 0
    for item, outcome in zip(items, outcomes, strict=True):
        spans = {(f.start, f.end) for f in (outcome.findings if outcome else ())}
        score = kinds.setdefault((item.group, item.kind), Score())
        hits = [_judge_span(score, span, spans) for span in item.spans]
        used = set().union(*(found for found, _ in hits)) if hits else set()
        extra[item.kind] += len(spans - used)
        if item.spans:
            records += item.group == "secret"
            full += item.group == "secret" and all(good for _, good in hits)
        else:
            score.count += 1
            touched[item.kind] += bool(spans)
    figures = _figures(kinds, extra, touched)
    figures["secret records fully masked"] = full / records
    if is_kept:
        _write_page(kinds, extra, touched, figures)
    return figures


def _judge_span(
    score: Score, span: tuple[int, int, str], spans: set[tuple[int, int]]
) -> tuple[set[tuple[int, int]], bool]:
    start, end, _ = span
    over = {each for each in spans if each[0] < end and each[1] > start}
    covered = sum(min(high, end) - max(low, start) for low, high in over)
    good = covered >= COVERED * (end - start)
    score.count += 1
    score.found += good
    score.exact += (start, end) in spans
    return over, good


def _figures(kinds: dict[tuple[str, str], Score], extra: Counter[str], touched: Counter[str]) -> dict[str, float]:
    figures: dict[str, float] = {}
    for group in ("secret", "personal"):
        scores = [score for (each, _), score in kinds.items() if each == group]
        false = sum(extra[kind] for each, kind in kinds if each == group)
        found, count = sum(s.found for s in scores), sum(s.count for s in scores)
        precision, recall = found / (found + false), found / count
        figures[f"{group} recall"], figures[f"{group} precision"] = recall, precision
        figures[f"{group} F1"] = 2 * precision * recall / (precision + recall)
    found = sum(s.found for (group, _), s in kinds.items() if group != "harmless")
    count = sum(s.count for (group, _), s in kinds.items() if group != "harmless")
    precision, recall = found / (found + sum(extra.values())), found / count
    figures["F1"] = 2 * precision * recall / (precision + recall)
    harmless = sum(s.count for (group, _), s in kinds.items() if group == "harmless")
    figures["hard negatives touched"] = sum(touched.values()) / harmless
    return figures


def _write_page(
    kinds: dict[tuple[str, str], Score], extra: Counter[str], touched: Counter[str], figures: dict[str, float]
) -> None:
    lines = ["# How well masking finds", "", *_INTRODUCTION, "", "| figure | value |", "|---|---:|"]
    lines += [f"| {name} | {value:.3f} |" for name, value in figures.items()]
    for group, title in (("secret", "Secrets"), ("personal", "Personal data")):
        lines += ["", f"## {title}", "", "| kind | values | recall | exact | precision |", "|---|---:|---:|---:|---:|"]
        for (each, kind), score in sorted(kinds.items()):
            if each == group:
                precision = score.found / max(1, score.found + extra[kind])
                cells = (score.count, score.found / score.count, score.exact / score.count, precision)
                lines.append(f"| {kind} | {cells[0]} | {cells[1]:.2f} | {cells[2]:.2f} | {cells[3]:.2f} |")
    lines += ["", "## Hard negatives", "", "| kind | records | touched |", "|---|---:|---:|"]
    for (group, kind), score in sorted(kinds.items()):
        if group == "harmless":
            lines.append(f"| {kind} | {score.count} | {touched[kind]} |")
    PAGE.write_text("\n".join(lines) + "\n", "utf-8")


_INTRODUCTION: Final = (
    "Written by `python -m bench.masking` (a part of `make bench`) on the project's own labelled set: database, HTTP,",
    "shell and file payloads made from a seed by `bench/masking_corpus.py`, which knows nothing of the detectors. It",
    "is our own set and was looked at while the detectors were written: a floor that must hold, not a promise for your",
    "data. `python -m bench.masking corpus` writes the set as JSON lines, for any tool to be judged on.",
    "",
    "A value is found when at least 90 % of its characters are masked, and exact when nothing else is. A masked span",
    "where nothing was labelled counts against precision. A hard negative is touched when anything in it is masked.",
)


def main() -> None:
    if sys.argv[1:] == ["corpus"]:
        sys.stdout.writelines(f"{line}\n" for line in as_lines(make_corpus()))
        return
    quick = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    masker = Masker(tokens=TokenKey(b"k" * 32))
    note = (lambda *_: None) if quick else record
    for name, every in (("rare", RARE_EVERY), ("dense", 1)):
        texts = make_texts(quick or RECORDS, every=every)
        own = speed(masker.mask_batch, texts, 40)
        plain = speed(plain_engine(), texts, 1)
        print(f"{name}: custody {own:.1f} MB/s, plain re {plain:.3f}")
        note(f"masking.{name}", own, "MB/s of CPU", "masking.required", own / (25.0 if every > 1 else 4.0))
        note(f"masking.{name}.re", plain, "MB/s of CPU")
        for peer, value in [] if quick else peers(texts[:SLICE], name):
            note(f"masking.{name}.{peer}", value, "MB/s of CPU", f"masking.{name}", value / own)
    items = make_corpus(quick) if quick else make_corpus()
    outcomes = masker.mask_batch([item.text for item in items])
    for figure, value in judge(items, outcomes, is_kept=not quick).items():
        print(f"{figure}: {value:.3f}")
        note(f"masking.quality.{figure.replace(' ', '_')}", value, "share")


if __name__ == "__main__":
    main()
