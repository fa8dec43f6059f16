"""`custody mask`: what masking makes of text on standard input."""

import json
import sys
from collections.abc import Iterable, Iterator
from itertools import batched
from typing import TYPE_CHECKING, Any, Final

import click
import orjson

from schemas.errors import ConfigError

if TYPE_CHECKING:
    from masking.engine import Masker

CHUNK_BYTES: Final = 1 << 20
BATCH_LINES: Final = 256  # masked by one scan
NO_FREE_TEXT: Final = "custody: names, places and the like in prose are not looked for (masking.free_text: off)"

Line = tuple[Any, str]  # (id, text)


@click.command()
@click.option("--spans", "with_spans", is_flag=True, help="JSON Lines with the spans, in code points of the input.")
@click.option("--jsonl", "is_jsonl", is_flag=True, help='Lines are {"id", "text"}; only the text is masked.')
def mask(with_spans: bool, is_jsonl: bool) -> None:
    """Mask text on standard input: plain text, or JSON Lines {"id", "text"}.

    Tokens are those of this home, so a value here and in the record has one token; without a home they are made with a
    throw-away key. Plain text is masked as one stream, so that secrets over several lines are found. With --spans there
    is one JSON line per input line: {"id", "spans": [{"start", "end", "label"}], "masked"}.
    """
    masker = load_masker()
    first = sys.stdin.buffer.readline()
    if not with_spans and not is_jsonl and parse_line(decode_line(first)) is None:
        mask_stream(masker, first)
        return
    lines = read_lines(_chain(first), is_jsonl)
    for batch in batched(lines, BATCH_LINES, strict=False):
        for answer in mask_lines(masker, batch, with_spans):
            sys.stdout.buffer.write(_dump(answer))
        sys.stdout.buffer.flush()


def _chain(first: bytes) -> Iterator[bytes]:
    if first:
        yield first
        yield from sys.stdin.buffer


def _dump(answer: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(answer, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:  # an id beyond 64 bits
        return json.dumps(answer, ensure_ascii=False).encode() + b"\n"


def mask_stream(masker: "Masker", first: bytes = b"") -> None:
    """`first` and the rest of standard input to standard output, in bounded memory."""
    from masking.stream import StreamMasker

    stream = StreamMasker(masker)
    sys.stdout.buffer.write(stream.feed(first))
    while chunk := sys.stdin.buffer.read(CHUNK_BYTES):
        sys.stdout.buffer.write(stream.feed(chunk))
    sys.stdout.buffer.write(stream.finish())
    sys.stdout.buffer.flush()


def load_masker() -> "Masker":
    """A masker with this home's token key, or with one that is forgotten at the end. Says what it does not look for."""
    import os

    from masking.free_text import load_finder, make_masker
    from masking.tokens import KEY_BYTES, TokenKey
    from schemas.cache import PrivateCache
    from schemas.config import find_settings
    from schemas.keys import read_ring
    from schemas.runtime import Home, find_home

    home = Home(find_home())
    settings = find_settings(home).masking
    kind, _, name = settings.token_key.partition(":")
    has_key = kind != "file" or (home.secrets / name).exists()
    finder = load_finder(settings)
    if finder is None:
        click.echo(NO_FREE_TEXT, err=True)
    key = read_ring(home, settings.token_key).current if has_key else os.urandom(KEY_BYTES)
    return make_masker(finder, tokens=TokenKey(key), kept=PrivateCache(home.cache) if has_key else None)


def read_lines(lines: Iterable[bytes], is_jsonl: bool) -> Iterator[Line]:
    """(id, text) of each line; the id of a plain line is its number, from 1. Raises ConfigError."""
    for number, line in enumerate(lines, 1):
        text = decode_line(line)
        document = parse_line(text)
        if document is not None:
            yield document
        elif not is_jsonl:
            yield number, text
        elif text.strip():
            raise ConfigError(f'line {number} is not {{"id": …, "text": "…"}}')


def decode_line(line: bytes) -> str:
    return line.decode("utf-8", "replace").rstrip("\r\n")


def parse_line(text: str) -> Line | None:
    """(id, text) of a JSON line that has both, else None. Lone surrogates in the text become U+FFFD."""
    if not text.lstrip().startswith("{"):
        return None
    document = _load(text)
    if isinstance(document, dict) and isinstance(document.get("text"), str) and "id" in document:
        return document["id"], document["text"].encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return None


def _load(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def mask_lines(masker: "Masker", lines: Iterable[Line], with_spans: bool) -> Iterator[dict[str, Any]]:
    """The answers of many lines, by one scan."""
    lines = list(lines)
    for (id, text), masked in zip(lines, masker.mask_batch([text for _, text in lines]), strict=True):
        if not with_spans:
            yield {"id": id, "text": masked.text if masked else text}
            continue
        found = sorted({(f.start, f.end): f.label for f in (masked.findings if masked else ())}.items())
        spans = [{"start": start, "end": end, "label": label} for (start, end), label in found]
        yield {"id": id, "spans": spans, "masked": masked.text if masked else text}
