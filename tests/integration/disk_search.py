"""Finding secrets in bytes, in every form in which software tends to keep them, and in everything under a directory."""

import gzip
import lzma
import zlib
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import zstandard
from ahocorasick_rs import BytesAhoCorasick

PIECE_BYTES = 8 << 20
OVERLAP_BYTES = 4096
PIECE_CHARS = 16
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
GZIP_MAGIC = b"\x1f\x8b\x08"
MAX_UNPACKED = 64 << 20
SHORTEST = 8
"""Needles below this many bytes would be found by chance."""
WINDOW_CHARS = 6
"""So much of a secret's random part is a leak, wherever it stands."""
LONG_RUN = 24
RUN_CHARACTERS = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/_-=")


@dataclass(frozen=True)
class Needle:
    """One form of one secret."""

    what: str
    form: str


def forms_of(secret: str) -> Iterator[tuple[str, bytes]]:
    """(name of the form, bytes): raw, base64 at each alignment, UTF-16, URL-encoded, hex, JSON-escaped, grouped."""
    raw = secret.encode()
    yield "raw", raw
    for shift in range(3):
        yield f"base64+{shift}", aligned_base64(raw, shift)
        yield f"base64url+{shift}", aligned_base64(raw, shift).translate(bytes.maketrans(b"+/", b"-_"))
    yield "utf-16-le", secret.encode("utf-16-le")
    yield "utf-16-be", secret.encode("utf-16-be")
    yield "url", quote(secret, safe="").encode()
    yield "url whole", b"".join(b"%%%02X" % byte for byte in raw)
    yield "url whole, lower", b"".join(b"%%%02x" % byte for byte in raw)
    yield "hex", raw.hex().encode()
    yield "hex upper", raw.hex().upper().encode()
    yield "hex of utf-16", secret.encode("utf-16-le").hex().encode()
    yield "json slashes", secret.replace("/", "\\/").encode()
    # Pieces: of a JWT its signature, else not of the first characters, which many share.
    own = raw.rpartition(b".")[2] if raw.startswith(b"eyJ") else raw[PIECE_CHARS:]
    for start in range(0, len(own) - 2 * PIECE_CHARS + 1, PIECE_CHARS):
        yield "a piece of it", own[start : start + PIECE_CHARS]
    if secret.isdigit():
        for gap in "- ":
            yield f"grouped by {gap!r}", gap.join(secret[i : i + 4] for i in range(0, len(secret), 4)).encode()
    if secret.replace("-", "").isdigit():
        yield "digits alone", secret.replace("-", "").encode()


def aligned_base64(raw: bytes, shift: int) -> bytes:
    """The characters that depend on `raw` alone when `shift` bytes stand before it, whatever follows."""
    encoded = b64encode(b"\0" * shift + raw).rstrip(b"=")
    first = (shift * 8 + 5) // 6
    last = (shift + len(raw)) * 8 // 6
    return encoded[first:last]


def windows_of(part: str) -> set[bytes]:
    """Every six characters of a random part in which capitals and small letters stand side by side.

    Others are all over a disk: hexadecimal, numbers, words, Custody's own tokens.
    """
    windows = (part[at : at + WINDOW_CHARS] for at in range(len(part) - WINDOW_CHARS + 1))
    return {window.encode() for window in windows if window.upper() != window != window.lower()}


class WindowSearcher:
    """Any six characters of secrets' random parts."""

    def __init__(self, parts: Mapping[str, str]) -> None:
        owners = {window: what for what, part in parts.items() for window in windows_of(part)}
        self._windows = list(owners)
        self._owners = [owners[window] for window in self._windows]
        self._parts = {what: part.encode() for what, part in parts.items()}
        self._automaton = BytesAhoCorasick(self._windows) if self._windows else None

    def find(self, data: bytes) -> set[Needle]:
        """Secrets of which six characters or more stand in `data`."""
        if self._automaton is None:
            return set()
        found = self._automaton.find_matches_as_indexes(data)
        return {
            Needle(self._owners[index], "six characters of it")
            for index, start, end in found
            if not self._is_chance(data, start, end, self._parts[self._owners[index]])
        }

    def _is_chance(self, data: bytes, start: int, end: int, part: bytes) -> bool:
        """Six characters within a long run of letters and digits, a certificate say, with no seven of the secret."""
        while start > 0 and data[start - 1] in RUN_CHARACTERS and end - start < OVERLAP_BYTES:
            start -= 1
        while end < len(data) and data[end] in RUN_CHARACTERS and end - start < OVERLAP_BYTES:
            end += 1
        run, size = data[start:end], WINDOW_CHARS + 1
        return len(run) >= LONG_RUN and not any(part[at : at + size] in run for at in range(len(part) - size + 1))


class Searcher:
    """All forms of all secrets at once, and any six characters of the random parts that are given besides."""

    def __init__(self, secrets: Mapping[str, str], parts: Mapping[str, str] | None = None) -> None:
        self._small = WindowSearcher(parts or {})
        forms: dict[bytes, Needle] = {}
        for what, secret in secrets.items():
            for form, data in forms_of(secret):
                if len(data) >= SHORTEST:
                    forms.setdefault(data, Needle(what, form))
        self._needles = list(forms.values())
        self.longest = max(map(len, forms))
        assert self.longest < OVERLAP_BYTES
        self._automaton = BytesAhoCorasick(list(forms))

    def find(self, data: bytes) -> set[Needle]:
        """Secrets in `data` itself."""
        whole = {self._needles[index] for index, _, _ in self._automaton.find_matches_as_indexes(data)}
        return whole | self._small.find(data)

    def find_deep(self, data: bytes, depth: int = 3) -> set[Needle]:
        """Secrets in `data` and in whatever is packed in it (zstd, gzip, zlib, xz), at any place."""
        found = self.find(data)
        if depth:
            for unpacked in unpack(data):
                found |= self.find_deep(unpacked, depth - 1)
        return found

    def find_in_file(self, path: Path) -> set[Needle]:
        """Piece by piece, with an overlap, so that nothing hides at a boundary."""
        found: set[Needle] = set()
        before = b""
        with path.open("rb") as file:
            while piece := file.read(PIECE_BYTES):
                if piece.count(0) != len(piece):  # preallocated and empty
                    found |= self.find_deep(before + piece)
                before = piece[-OVERLAP_BYTES:]
        return found


def unpack(data: bytes) -> Iterator[bytes]:
    """What packed streams inside `data` hold."""
    for magic, read in ((ZSTD_MAGIC, _unzstd), (GZIP_MAGIC, _ungzip), (b"\xfd7zXZ\x00", _unxz)):
        at = data.find(magic)
        while at >= 0:
            if unpacked := read(data[at:]):
                yield unpacked
            at = data.find(magic, at + 1)
    if data[:1] == b"\x78" and (unpacked := _inflate(data)):
        yield unpacked


def _unzstd(data: bytes) -> bytes:
    try:
        return zstandard.ZstdDecompressor(max_window_size=1 << 27).decompressobj().decompress(data)[:MAX_UNPACKED]
    except zstandard.ZstdError:
        return b""


def _ungzip(data: bytes) -> bytes:
    try:
        return zlib.decompressobj(31).decompress(data, MAX_UNPACKED)
    except (zlib.error, gzip.BadGzipFile):
        return b""


def _unxz(data: bytes) -> bytes:
    try:
        return lzma.LZMADecompressor(memlimit=1 << 27).decompress(data, MAX_UNPACKED)
    except lzma.LZMAError:
        return b""


def _inflate(data: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(data, MAX_UNPACKED)
    except zlib.error:
        return b""


def search_tree(searcher: Searcher, root: Path, exempt: Iterable[Path] = ()) -> list[str]:
    """Every leak below `root` as a line; names of files and directories count, too."""
    leaks = []
    skipped = tuple(exempt)
    for path in sorted(root.rglob("*")):
        if any(path.is_relative_to(top) for top in skipped):
            continue
        found = searcher.find(str(path.relative_to(root)).encode())
        if path.is_file() and not path.is_symlink():
            found |= searcher.find_in_file(path)
        leaks += [f"{path.relative_to(root)}: {needle.what} ({needle.form})" for needle in sorted(found, key=str)]
    return leaks
