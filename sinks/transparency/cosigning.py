"""Asks witnesses for cosignatures: the client half of c2sp.org/tlog-witness.

Each witness remembers the largest tree it signed and wants proof that the next one continues it. When it says another
size than was assumed (409), it is asked once more from there.
"""

import base64
import http.client
import logging
import time
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Final
from urllib.parse import urlsplit

from schemas.errors import ProofError
from sinks.transparency.merkle import Proof
from sinks.transparency.note import MAX_NOTE_BYTES, Note, Signature, check_signature, parse_signature
from sinks.transparency.quorum import Witness

TIMEOUT_S: Final = 2.0
FIRST_BACKOFF_S: Final = 0.5
LAST_BACKOFF_S: Final = 30.0
MAX_ANSWER_BYTES: Final = 16 * 1024
SIZE_TYPE: Final = "text/x.tlog.size"

_log = logging.getLogger(__name__)


class Refused(Exception):
    """A witness did not sign; the message says why."""


class Cosigners:
    """The witnesses of a policy and what each signed last. For one thread."""

    def __init__(self, witnesses: Sequence[Witness], *, timeout_s: float = TIMEOUT_S) -> None:
        self.problems: dict[str, str] = {}  # witness -> why it did not sign the last time it was asked
        self._witnesses = [witness for witness in witnesses if witness.url]
        self._timeout_s = timeout_s
        self._sizes: dict[str, int] = {}
        self._waits: dict[str, tuple[float, float]] = {}  # witness -> not before, and how long the wait was

    def ask(self, note: Note, size: int, prove: Callable[[int], Proof]) -> dict[str, Signature]:
        """Verified cosignatures by witness. One that fails is asked again only after a while; this never raises."""
        found: dict[str, Signature] = {}
        for witness in self._witnesses:
            not_before, wait = self._waits.get(witness.name, (0.0, 0.0))
            if time.monotonic() < not_before:
                continue
            try:
                found[witness.name] = self._ask_one(witness, note, size, prove)
                self._waits.pop(witness.name, None)
                if self.problems.pop(witness.name, None):
                    _log.warning("witness %s signs again", witness.name)
            except (Refused, ProofError, OSError, http.client.HTTPException, ValueError) as error:
                wait = min(LAST_BACKOFF_S, wait * 2 or FIRST_BACKOFF_S)
                self._waits[witness.name] = (time.monotonic() + wait, wait)
                if witness.name not in self.problems:
                    _log.warning("alarm: witness %s does not sign: %s", witness.name, error)
                self.problems[witness.name] = str(error)[:200] or type(error).__name__
        return found

    def _ask_one(self, witness: Witness, note: Note, size: int, prove: Callable[[int], Proof]) -> Signature:
        old = min(self._sizes.get(witness.name, 0), size)
        for _ in range(2):
            status, kind, answer = self._post(witness, make_request(old, prove(old), note))
            if status == 200:
                self._sizes[witness.name] = size
                return read_cosignature(answer, note, witness)
            stated = answer.decode("ascii", "replace").strip()
            if status != 409 or kind != SIZE_TYPE or not stated.isdecimal():
                break
            old = int(stated)
            if old > size:
                raise Refused(f"it has signed size {old} already, and this tree has {size}")
        raise Refused(f"it answers {status}: {answer.decode('utf-8', 'replace').strip()[:120]}")

    def _post(self, witness: Witness, body: bytes) -> tuple[int, str, bytes]:
        parts = urlsplit(witness.url)
        make = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        connection = make(parts.hostname or "", parts.port, timeout=self._timeout_s)
        try:
            connection.request("POST", f"{parts.path.rstrip('/')}/add-checkpoint", body)
            response = connection.getresponse()
            return response.status, response.headers.get_content_type(), response.read(MAX_ANSWER_BYTES)
        finally:
            connection.close()


def fetch_latest(witness: Witness, origin: str, timeout_s: float = TIMEOUT_S) -> bytes | None:
    """The last checkpoint that a witness signed for a log, unverified. None: it does not answer, or signed none."""
    parts = urlsplit(witness.url)
    make = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = make(parts.hostname or "", parts.port, timeout=timeout_s)
    try:
        connection.request("GET", f"{parts.path.rstrip('/')}/{sha256(origin.encode()).hexdigest()}/checkpoint")
        response = connection.getresponse()
        data = response.read(MAX_NOTE_BYTES + 1)
        return data if response.status == http.client.OK else None
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()


def make_request(old: int, proof: Proof, note: Note) -> bytes:
    """The body of add-checkpoint."""
    lines = [f"old {old}\n", *(base64.b64encode(item).decode() + "\n" for item in proof), "\n"]
    return "".join(lines).encode() + note.encode()


def read_cosignature(answer: bytes, note: Note, witness: Witness) -> Signature:
    """The witness's own line of its answer, verified. Raises ProofError, Refused."""
    for line in answer.decode("utf-8", "replace").splitlines():
        signature = parse_signature(line)
        if signature.name == witness.key.name and signature.key_id == witness.key.key_id:
            check_signature(note.text, signature, witness.key)
            return signature
    raise Refused("it answered without its signature")
