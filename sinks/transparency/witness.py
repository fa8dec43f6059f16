"""A witness: signs a log's checkpoint only when it continues every one it signed before. c2sp.org/tlog-witness.

Of each log it keeps the last checkpoint it signed, in a file, and writes it durably before it answers. So whoever holds
the log's key cannot show one history to one reader and another to the next, nor take anything back, without this key,
too: run it under another account, better on another host.
"""

import contextlib
import fcntl
import os
import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

from schemas.errors import ConfigError, ProofError
from sinks.transparency.cosigning import SIZE_TYPE
from sinks.transparency.merkle import EMPTY_ROOT, MAX_PROOF_HASHES, Proof, check_consistency
from sinks.transparency.note import (
    COSIGNATURE,
    MAX_NOTE_BYTES,
    Checkpoint,
    Note,
    Signer,
    Verifier,
    cosign_checkpoint,
    decode_base64,
    encode_note,
    find_signature,
    open_checkpoint,
    parse_checkpoint,
    parse_note,
)
from sinks.transparency.storage import replace_file

MAX_BODY_BYTES: Final = MAX_NOTE_BYTES + 64 * 64
REQUEST_TIMEOUT_S: Final = 10.0
MAX_CONNECTIONS: Final = 64
_OLD: Final = re.compile(rb"old (0|[1-9][0-9]{0,18})", re.ASCII)
_PLAIN: Final = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP status with its content type and body."""

    status: int
    body: bytes
    kind: str = _PLAIN


class WitnessState:
    """The witness without its socket. `log_keys` are the verifier keys of the logs it signs for.

    `reload_keys` is asked for more when none of them signed: a log's key may have been rotated.
    """

    def __init__(
        self,
        directory: Path,
        name: str,
        signer: Signer,
        log_keys: Iterable[Verifier],
        clock: Callable[[], float] = time.time,
        reload_keys: Callable[[], Iterable[Verifier]] = tuple,
    ) -> None:
        self.verifier = Verifier(name, COSIGNATURE, signer.public_key)
        self._directory = directory
        self._signer = signer
        self._clock = clock
        self._reload_keys = reload_keys
        self._keys: dict[str, list[Verifier]] = {}
        self._learn(log_keys)
        self._guard = threading.Lock()
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            raise ConfigError("another process is this witness already") from None

    def close(self) -> None:
        os.close(self._lock)

    def add_checkpoint(self, body: bytes) -> Answer:
        """Sign a checkpoint, or say why not. Whatever happens, it never signs two trees that contradict each other."""
        try:
            old, proof, note = parse_request(body)
            checkpoint = parse_checkpoint(note.text)
        except ProofError as error:
            return _refuse(400, str(error))
        keys = self._keys.get(checkpoint.origin)
        if keys is None:
            return _refuse(404, "this witness does not know the log")
        try:
            self._open(note, keys)
        except ProofError as error:
            return _refuse(403, str(error))
        if old > checkpoint.size:
            return _refuse(400, "the old size is larger than the new one")
        with self._guard:
            return self._judge(old, proof, note, checkpoint)

    def _open(self, note: Note, keys: list[Verifier]) -> None:
        """Raises ProofError when no key of the log signed, nor one that has come since."""
        try:
            open_checkpoint(note.encode(), keys)
        except ProofError:
            if not self._learn(self._reload_keys()):
                raise
            open_checkpoint(note.encode(), keys)

    def _learn(self, keys: Iterable[Verifier]) -> bool:
        """Whether any of the keys is new."""
        new = [key for key in keys if key not in self._keys.get(key.name, ())]
        for key in new:
            self._keys.setdefault(key.name, []).append(key)
        return bool(new)

    def read_latest(self, origin_hash: str) -> bytes | None:
        """The last checkpoint signed for the log whose origin has this SHA-256 (hexadecimal), with the cosignature."""
        if origin_hash not in {_file_name(origin) for origin in self._keys}:
            return None
        try:
            return (self._directory / origin_hash).read_bytes()
        except FileNotFoundError:
            return None

    def _judge(self, old: int, proof: Proof, note: Note, checkpoint: Checkpoint) -> Answer:
        known = self._read_known(checkpoint.origin)
        if old != known.size:
            return Answer(409, f"{known.size}\n".encode(), SIZE_TYPE)
        if old == checkpoint.size and checkpoint.root != known.root:
            # Two trees of one size: what a witness is for. It is said without a word that could be taken for consent.
            return _refuse(409, "another tree of this size was signed") if old else _refuse(422, "not the empty tree")
        try:
            check_consistency(proof, old, known.root, checkpoint.size, checkpoint.root)
        except ProofError as error:
            return _refuse(422, str(error))
        cosignature = cosign_checkpoint(note.text, self.verifier.name, self._signer, int(self._clock()))
        log_signatures = [
            found for key in self._keys[checkpoint.origin] if (found := find_signature(note, key)) is not None
        ]
        replace_file(
            self._directory / _file_name(checkpoint.origin), encode_note(note.text, [*log_signatures, cosignature])
        )
        return Answer(200, cosignature.line.encode())

    def _read_known(self, origin: str) -> Checkpoint:
        """The tree signed last. A damaged file raises: a witness that forgot must not sign."""
        try:
            data = (self._directory / _file_name(origin)).read_bytes()
        except FileNotFoundError:
            return Checkpoint(origin, 0, EMPTY_ROOT)
        note = parse_note(data)
        if find_signature(note, self.verifier) is None:
            raise ProofError("the witness's own state was not signed by its key")
        return parse_checkpoint(note.text)


def parse_request(body: bytes) -> tuple[int, Proof, Note]:
    """Old size, consistency proof, checkpoint. Raises ProofError."""
    head, separator, rest = body.partition(b"\n\n")
    lines = head.split(b"\n")
    match = _OLD.fullmatch(lines[0])
    if not separator or match is None or len(lines) > MAX_PROOF_HASHES + 1:
        raise ProofError("not a request to add a checkpoint")
    proof = [decode_base64(line.decode("ascii", "replace")) for line in lines[1:]]
    return int(match.group(1)), proof, parse_note(rest)


def _file_name(origin: str) -> str:
    return sha256(origin.encode()).hexdigest()


def _refuse(status: int, reason: str) -> Answer:
    return Answer(status, f"{reason}\n".encode())


def make_server(state: WitnessState, host: str, port: int) -> ThreadingHTTPServer:
    """The witness over HTTP: POST /add-checkpoint, GET /<sha256 of the origin>/checkpoint. Raises OSError."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = REQUEST_TIMEOUT_S

        def do_POST(self) -> None:
            length = self.headers.get("Content-Length", "")
            if self.path != "/add-checkpoint":
                self._send(_refuse(404, "not here"))
            elif not length.isascii() or not length.isdigit() or int(length) > MAX_BODY_BYTES:
                self._send(_refuse(413, "a body of a stated length, and no longer than needed"))
            else:
                self._send(self._guarded(lambda: state.add_checkpoint(self.rfile.read(int(length)))))

        def do_GET(self) -> None:
            name, _, what = self.path.lstrip("/").partition("/")
            found = state.read_latest(name) if what == "checkpoint" else None
            self._send(_refuse(404, "not here") if found is None else Answer(200, found))

        def _guarded(self, act: Callable[[], Answer]) -> Answer:
            try:
                return act()
            except (ProofError, OSError) as error:
                return _refuse(500, f"the witness cannot sign: {error}")

        def _send(self, answer: Answer) -> None:
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.kind)
            self.send_header("Content-Length", str(len(answer.body)))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(answer.body)
            self.close_connection = True

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return _Server((host, port), Handler)


class _Server(ThreadingHTTPServer):
    """At most MAX_CONNECTIONS at once; the next ones wait in the listen queue."""

    daemon_threads = True
    _slots = threading.BoundedSemaphore(MAX_CONNECTIONS)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._slots.acquire()
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._slots.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that broke is the client's affair."""


def read_states(directory: Path) -> Mapping[str, Checkpoint]:
    """What a witness's directory holds: origin -> the checkpoint signed last."""
    found = {}
    for path in directory.iterdir() if directory.is_dir() else ():
        with contextlib.suppress(ProofError, OSError):
            checkpoint = parse_checkpoint(parse_note(path.read_bytes()).text)
            found[checkpoint.origin] = checkpoint
    return found
