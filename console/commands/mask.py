"""`custody mask`: what masking makes of text on standard input."""

import json
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import click

from schemas.errors import ConfigError

if TYPE_CHECKING:
    from masking.engine import Masker

CHUNK_BYTES: Final = 1 << 20


@click.command()
@click.option("--spans", "with_spans", is_flag=True, help="JSON Lines with the spans, in code points of the input.")
@click.option("--jsonl", "is_jsonl", is_flag=True, help='Lines are {"id", "text"}; only the text is masked.')
def mask(with_spans: bool, is_jsonl: bool) -> None:
    """Mask text on standard input.

    Tokens are those of this home, so a value here and in the record has one token; without a home they are made with a
    throw-away key. Plain text is masked as one stream, so that secrets over several lines are found. With --spans there
    is one JSON line per input line: {"id", "spans": [{"start", "end", "label"}], "masked"}.
    """
    masker = make_masker()
    if not with_spans and not is_jsonl:
        mask_stream(masker)
        return
    for id, text_of_line in read_lines(is_jsonl):
        click.echo(json.dumps(mask_line(masker, id, text_of_line, with_spans), ensure_ascii=False))


def mask_stream(masker: "Masker") -> None:
    """Standard input to standard output, in bounded memory."""
    from masking.stream import StreamMasker

    stream = StreamMasker(masker)
    while chunk := sys.stdin.buffer.read(CHUNK_BYTES):
        sys.stdout.buffer.write(stream.feed(chunk))
    sys.stdout.buffer.write(stream.finish())


def make_masker() -> "Masker":
    """A masker with this home's token key, or with one that is forgotten at the end."""
    import os

    from masking.engine import Masker
    from masking.tokens import KEY_BYTES, TokenKey
    from schemas.config import find_settings
    from schemas.keys import read_ring
    from schemas.runtime import Home, find_home

    home = Home(find_home())
    reference = find_settings(home).masking.token_key
    kind, _, name = reference.partition(":")
    has_key = kind != "file" or (home.secrets / name).exists()
    return Masker(tokens=TokenKey(read_ring(home, reference).current if has_key else os.urandom(KEY_BYTES)))


def read_lines(is_jsonl: bool) -> Iterator[tuple[Any, str]]:
    """(id, text) of each line; the id of a plain line is its number, from 1. Raises ConfigError."""
    for number, line in enumerate(sys.stdin.buffer, 1):
        text = line.decode("utf-8", "replace").rstrip("\r\n")
        if not is_jsonl and not text.startswith("{"):
            yield number, text
            continue
        document = parse_line(text)
        if document is not None:
            yield document
        elif is_jsonl:
            raise ConfigError(f'line {number} is not {{"id": …, "text": "…"}}')
        else:
            yield number, text


def parse_line(text: str) -> tuple[Any, str] | None:
    """(id, text) of a JSON line that has both, else None."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if isinstance(document, dict) and isinstance(document.get("text"), str) and "id" in document:
        return document["id"], document["text"]
    return None


def mask_line(masker: "Masker", id: Any, text: str, with_spans: bool) -> dict[str, Any]:
    """One line's answer."""
    masked = masker.mask_text(text)
    if not with_spans:
        return {"id": id, "text": masked.text}
    spans = [{"start": f.start, "end": f.end, "label": f.label} for f in masked.findings]
    return {"id": id, "spans": spans, "masked": masked.text}
