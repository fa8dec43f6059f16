"""The first hit case of every shipped detector, many at a time, through the paths on which content is recorded."""

import json
import re
from dataclasses import dataclass, field
from itertools import batched
from typing import Any
from urllib.parse import quote

import httpx
import psycopg
import websockets
from psycopg import sql

from masking.catalog import load_detectors
from tests.integration.canary_http import basic, send_raw
from tests.integration.canary_sql import refused
from tests.masking.helpers import masker

BATCH = 37
"""Cases in one statement, body or message: so that a limit on recorded content cuts nothing off."""
SHORTEST = 8
"""A shorter value (a PIN, a security code) stands on every disk by chance."""
PREFIX = 12
RANDOM = re.compile(r"[A-Za-z0-9_-]{16,}")
NO_SECRETS = frozenset({"private-key"})
"""Whose example is what all keys of its kind begin with; the canaries' own keys are searched for."""


@dataclass(frozen=True)
class Case:
    """A detector's example, its marked parts, and the labels that masking gives it."""

    detector: str
    text: str = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)

    @property
    def labels(self) -> set[str]:
        return {finding.label for finding in masker().mask_text(self.text).findings}


def load_cases() -> list[Case]:
    """One a detector."""
    return [
        Case(found.name, case.text, tuple(case.text[start:end] for start, end in case.spans))
        for found in load_detectors()
        for case in found.hits[:1]
    ]


CASES = load_cases()


def needles() -> dict[str, str]:
    """Name -> value, of those long enough to be told from chance."""
    return {
        f"detectors/{case.detector} {number}": secret
        for case in CASES
        for number, secret in enumerate(case.secrets)
        if len(secret) >= SHORTEST and case.detector not in NO_SECRETS
    }


def random_parts() -> dict[str, str]:
    """Name -> what of a long value is its own, behind what tells its kind."""
    return {
        name: secret[PREFIX:]
        for name, secret in needles().items()
        if RANDOM.fullmatch(secret[PREFIX:]) and not secret.startswith("eyJ")
    }


def tag_of(path: str) -> str:
    """Stands in everything that was sent on a path."""
    return f"tag{path.replace('-', '')}tag"


def texts_of(cases: tuple[Case, ...]) -> list[str]:
    return [case.text for case in cases]


async def run_sql(url: str) -> None:
    """Literals, parameters, rows, COPY both ways, errors."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute("CREATE TEMP TABLE detector_cases (note text)")
        for cases in batched(CASES, BATCH, strict=False):
            texts = texts_of(cases)
            literals = sql.SQL(",\n").join(map(sql.Literal, [tag_of("detectors-sql-literal"), *texts]))
            await connection.execute(sql.SQL("SELECT concat_ws('', {}) = ''").format(literals))
            marks = ", ".join(["%t"] * (len(texts) + 1))
            query = f"SELECT * FROM (VALUES ({marks.replace(', ', '::text), (')}::text)) AS cases (note)"
            await connection.execute(query, [tag_of("detectors-sql-rows"), *texts])
            await connection.execute("SELECT cardinality(%b::text[])", ([tag_of("detectors-sql-array"), *texts],))
            await copy_both_ways(connection, texts)
            tag = tag_of("detectors-sql-error")
            await refused(connection, "SELECT %s::text::int", (f"{tag} " + "\n".join(texts),))


async def copy_both_ways(connection: Any, texts: list[str]) -> None:
    await connection.execute("TRUNCATE detector_cases")
    async with connection.cursor() as cursor, cursor.copy("COPY detector_cases FROM STDIN") as copy:
        for text in (tag_of("detectors-sql-copy"), *texts):
            await copy.write_row((text,))
    async with connection.cursor() as cursor, cursor.copy("COPY detector_cases TO STDOUT") as copy:
        assert texts[-1].split("\n")[-1].encode()[-4:] in b"".join([bytes(piece) async for piece in copy])


async def run_http(port: int, login: str) -> None:
    """Bodies there and back (the upstream is a mirror), targets, headers, messages."""
    headers = {"Authorization": basic(login)}
    base = f"http://127.0.0.1:{port}"
    async with httpx.AsyncClient(base_url=base, headers=headers, trust_env=False, timeout=30) as client:
        for cases in batched(CASES, BATCH, strict=False):
            texts = texts_of(cases)
            document = json.dumps({"tag": tag_of("detectors-http-json"), "cases": texts})
            await mirror(client, "application/json", document)
            await mirror(client, "text/plain", "\n\n".join([tag_of("detectors-http-text"), *texts]))
            events = [f"data: {json.dumps({'tag': tag_of('detectors-http-sse'), 'note': text})}\n\n" for text in texts]
            await mirror(client, "text/event-stream", "".join(events))
            lines = {f"X-Note-{n}": text for n, text in enumerate(texts) if text.isprintable() and text.isascii()}
            await client.get(f"/echo?{tag_of('detectors-http-headers')}", headers=lines)
            for text in texts:
                await client.get(f"/echo?tag={tag_of('detectors-http-query')}&note={quote(text, safe='')}")
    url = f"ws://127.0.0.1:{port}/mirror/messages"
    async with websockets.connect(url, additional_headers=headers, proxy=None) as socket:
        for case in CASES:
            await socket.send(f"{tag_of('detectors-http-websocket')}\n{case.text}")
            await socket.recv()


async def mirror(client: httpx.AsyncClient, kind: str, body: str) -> None:
    answer = await client.post("/mirror", headers={"Content-Type": kind}, content=body.encode())
    assert answer.text == body


async def run_tcp(port: int) -> None:
    """Opaque bytes there and back."""
    for cases in batched(CASES, BATCH, strict=False):
        # With a line end: a last line without one is a record of its own, in which the tag does not stand.
        text = "\n\n".join([tag_of("detectors-tcp"), *texts_of(cases), ""])
        assert await send_raw(port, text.encode(), idle_s=0.5) == text.encode()


PATHS = (
    "detectors-sql-literal", "detectors-sql-rows", "detectors-sql-array", "detectors-sql-copy", "detectors-sql-error",
    "detectors-http-json", "detectors-http-text", "detectors-http-sse", "detectors-http-query",
    "detectors-http-websocket", "detectors-tcp",
)  # fmt: skip
"""Those that take a case of any form. Headers take one line of ASCII."""


def missing_labels(path: str, masked: list[tuple[str, set[str]]]) -> dict[str, set[str]]:
    """Detector -> labels of its case that no record of the path shows. `masked`: text and labels of each event."""
    tag = tag_of(path)
    shown = set().union(*(labels for text, labels in masked if tag in text))
    missing = {case.detector: case.labels - shown for case in CASES}
    return {detector: labels for detector, labels in missing.items() if labels}
