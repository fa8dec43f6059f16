"""Any S3-compatible store as storage of the log, and a directory with a copy there.

Tiles and bundles never change: each is put on condition that there is none. Where there is one already it must be the
same, or two histories meet, and nothing more is written. The checkpoint, and what names the log's keys, are replaced on
condition that they are what was read or written last, so a second writer is found out. A put that is answered is
durable: that is what such a store promises.
"""

import importlib
import io
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit
from xml.etree import ElementTree

import urllib3
from urllib3.exceptions import HTTPError

from schemas.config import Transparency
from schemas.errors import ConfigError, ProofError, Unreachable
from schemas.resources import resolve_secret
from schemas.runtime import Home
from schemas.settings_base import is_loopback
from sinks.transparency.note import parse_checkpoint, parse_note
from sinks.transparency.storage import MAX_OBJECT_BYTES, DirectoryStorage
from sinks.transparency.tiles import CHECKPOINT

SCHEME: Final = "s3"
TIMEOUT_S: Final = 20.0
MAX_LIST_BYTES: Final = 1 << 20
NO_CONTENT: Final = 204
IS_THERE: Final = 412
FIXED: Final = "tile/"
"""What lies below it never changes."""


class S3Storage:
    """A bucket, or what lies under a prefix of it. Not for several threads. Everything raises Unreachable."""

    def __init__(self, settings: Transparency, home: Home) -> None:
        url = urlsplit(settings.storage)
        if url.scheme != SCHEME or not url.netloc or url.query or url.fragment:
            raise ConfigError("transparency.storage must be s3://bucket or s3://bucket/prefix")
        self.bucket, self.prefix = url.netloc, url.path.strip("/")
        self._region = settings.s3_region
        self._base = _base_of(settings, self.bucket)
        self._pool = urllib3.PoolManager(
            num_pools=1, maxsize=4, timeout=urllib3.Timeout(total=TIMEOUT_S), retries=False
        )
        self._credentials = _credentials(settings, home)
        self._etags: dict[str, str] = {}  # of what may be replaced, by path; "": there is none

    def write(self, path: str, data: bytes, *, is_durable: bool = False) -> None:
        """Put an object. Raises Unreachable; ProofError when another one is there."""
        if not path.startswith(FIXED):
            self._replace(path, data)
            return
        status, _, headers = self._ask("PUT", self._key(path), data, {"If-None-Match": "*"})
        if status == IS_THERE:
            if self.read(path) != data:
                raise ProofError(f"{path} in the bucket {self.bucket} is of another history: nothing is written")
        elif status != 200:
            raise self._unreachable(status, headers)

    def _replace(self, path: str, data: bytes) -> None:
        if path not in self._etags and self.read(path) == data:
            return
        known = self._etags[path]
        condition = {"If-Match": known} if known else {"If-None-Match": "*"}
        status, _, headers = self._ask("PUT", self._key(path), data, condition)
        if status == IS_THERE:
            # An answer that was lost is no second writer.
            if self.read(path) != data:
                raise ProofError(f"somebody else writes {path} in the bucket {self.bucket}: nothing is written")
        elif status == 200:
            self._etags[path] = headers.get("etag", "")
        else:
            self._etags.pop(path, None)
            raise self._unreachable(status, headers)

    def read(self, path: str) -> bytes | None:
        """An object, None when there is none."""
        status, data, headers = self._ask("GET", self._key(path), limit=MAX_OBJECT_BYTES)
        if status not in (200, 404) or (status == 404 and b"NoSuchBucket" in data):
            raise self._unreachable(status, headers)
        if not path.startswith(FIXED):
            self._etags[path] = headers.get("etag", "") if status == 200 else ""
        return data if status == 200 else None

    def delete(self, path: str) -> None:
        """Remove an object, if it is there. A store that locks objects keeps it, and that harms nobody."""
        status, _, headers = self._ask("DELETE", self._key(path))
        if status not in (200, NO_CONTENT, 403, 404):
            raise self._unreachable(status, headers)

    def list_widths(self, path: str) -> list[int]:
        """The widths of the partial tiles or bundles at `path`: at most 255."""
        prefix = f"{self._object(path)}.p/"
        query = f"list-type=2&max-keys=1000&prefix={quote(prefix, safe='')}"
        status, data, headers = self._ask("GET", f"{self._base.rstrip('/')}/", query=query, limit=MAX_LIST_BYTES)
        if status != 200:
            raise self._unreachable(status, headers)
        names = [key[len(prefix) :] for key in _keys_of(data) if key.startswith(prefix)]
        return sorted(int(name) for name in names if name.isdecimal())

    def sync(self) -> None:
        """Every put was durable when it was answered."""

    def _object(self, path: str) -> str:
        return f"{self.prefix}/{path}" if self.prefix else path

    def _key(self, path: str) -> str:
        return self._base + quote(self._object(path), safe="/")

    def _ask(
        self,
        method: str,
        url: str,
        body: bytes = b"",
        headers: dict[str, str] | None = None,
        *,
        query: str = "",
        limit: int = MAX_LIST_BYTES,
    ) -> tuple[int, bytes, dict[str, str]]:
        """Status, body and headers. Raises Unreachable, whose message names the bucket and nothing that was sent."""
        target = f"{url}?{query}" if query else url
        sent = self._sign(method, target, body, headers or {})
        try:
            response = self._pool.request(
                method, target, body=body, headers=sent, redirect=False, preload_content=False, decode_content=False
            )
            try:
                data = response.read(limit + 1)
            finally:
                response.release_conn()
        except (HTTPError, OSError) as error:
            raise Unreachable(f"the log's bucket {self.bucket} does not answer ({type(error).__name__})") from None
        if len(data) > limit:
            response.close()
            raise Unreachable(f"the log's bucket {self.bucket} answers with more than {limit} bytes")
        return response.status, data, {name.lower(): value for name, value in response.headers.items()}

    def _sign(self, method: str, url: str, body: bytes, headers: dict[str, str]) -> dict[str, str]:
        """The headers of a signed request (SigV4). Raises Unreachable without credentials: they may come."""
        auth, http = _load("awscrt.auth"), _load("awscrt.http")
        parts = urlsplit(url)
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        wanted = [("Host", parts.netloc), *headers.items()]
        if method == "PUT":
            wanted.append(("Content-Length", str(len(body))))
        request = http.HttpRequest(method, path, http.HttpHeaders(wanted), io.BytesIO(body))
        config = auth.AwsSigningConfig(
            algorithm=auth.AwsSigningAlgorithm.V4,
            signature_type=auth.AwsSignatureType.HTTP_REQUEST_HEADERS,
            credentials_provider=self._credentials,
            region=self._region,
            service="s3",
            use_double_uri_encode=False,
            should_normalize_uri_path=False,
            signed_body_header_type=auth.AwsSignedBodyHeaderType.X_AMZ_CONTENT_SHA_256,
        )
        try:
            signed = auth.aws_sign_request(request, config).result(TIMEOUT_S)
        except Exception as error:  # of awscrt, which has one class for all that credentials can lack
            raise Unreachable(f"no credentials for the log's bucket were found ({type(error).__name__})") from None
        return dict(signed.headers)

    def _unreachable(self, status: int, headers: dict[str, str]) -> Unreachable:
        hint = " (does it take conditional puts?)" if status in (400, 501) else ""
        return Unreachable(f"the log's bucket {self.bucket} answers {status}{hint}")


class CopiedStorage:
    """A directory and a copy in a bucket. Nothing counts as written before both have it.

    So the copy is never behind what the sequencer goes on from, and a checkpoint is there only when all that it names
    is. Reads are the directory's; only at the start the later of both checkpoints is shown, so that a directory that
    was put back to an older state is found out.
    """

    def __init__(self, directory: DirectoryStorage, copy: S3Storage) -> None:
        self._directory, self._copy = directory, copy
        self._is_compared = self._is_complete = False

    def write(self, path: str, data: bytes, *, is_durable: bool = False) -> None:
        if path == CHECKPOINT:
            self._complete()
            # The outer copy first: what readers here can see, those there can, too.
            self._copy.write(path, data, is_durable=True)
            self._directory.write(path, data, is_durable=is_durable)
            return
        self._directory.write(path, data, is_durable=is_durable)
        self._copy.write(path, data, is_durable=is_durable)

    def read(self, path: str) -> bytes | None:
        here = self._directory.read(path)
        if path == CHECKPOINT and not self._is_compared:
            there = self._copy.read(path)
            self._is_compared = True
            if there is not None and _size_of(there) > _size_of(here):
                return there
        return here

    def delete(self, path: str) -> None:
        self._copy.delete(path)
        self._directory.delete(path)

    def list_widths(self, path: str) -> list[int]:
        return self._directory.list_widths(path)

    def sync(self) -> None:
        self._directory.sync()

    def _complete(self) -> None:
        """Before the first checkpoint that is put there: bring what the directory has had before. Once a process."""
        if self._is_complete:
            return
        if _size_of(self._copy.read(CHECKPOINT)) < _size_of(self._directory.read(CHECKPOINT)):
            for path in self._directory.list_paths():
                data = self._directory.read(path)
                if path != CHECKPOINT and data is not None:
                    self._copy.write(path, data)
        self._is_complete = True


def _size_of(note: bytes | None) -> int:
    """Leaves under a published head; -1 for none. Raises ProofError."""
    return -1 if note is None else parse_checkpoint(parse_note(note).text).size


def open_storage(settings: Transparency, home: Home, directory: Path) -> DirectoryStorage | CopiedStorage:
    """Where the sequencer writes: the directory, and the bucket if one is configured. Raises ConfigError."""
    here = DirectoryStorage(directory)
    return CopiedStorage(here, S3Storage(settings, home)) if settings.storage else here


def _base_of(settings: Transparency, bucket: str) -> str:
    """URL of the bucket, with a slash at its end. Raises ConfigError."""
    if not settings.s3_endpoint:
        return f"https://{bucket}.s3.{settings.s3_region}.amazonaws.com/"
    url = urlsplit(settings.s3_endpoint)
    if url.scheme not in ("https", "http") or (url.scheme == "http" and not is_loopback(url.hostname or "")):
        raise ConfigError("transparency.s3_endpoint must be https://HOST (http only on this host)")
    return f"{settings.s3_endpoint.rstrip('/')}/{bucket}/"


def _credentials(settings: Transparency, home: Home) -> Any:
    """Raises ConfigError without awscrt, or without the secret that is named."""
    auth = _load("awscrt.auth")
    if settings.s3_access_key:
        secret = resolve_secret(settings.s3_secret_key, home)
        return auth.AwsCredentialsProvider.new_static(settings.s3_access_key, secret)
    return auth.AwsCredentialsProvider.new_default_chain()


def _keys_of(document: bytes) -> list[str]:
    """The keys of an answer to ListObjectsV2. Raises Unreachable for what is none."""
    if b"<!DOCTYPE" in document or b"<!ENTITY" in document:
        raise Unreachable("the log's bucket answers with XML that defines entities")
    try:
        root = ElementTree.fromstring(document)  # noqa: S314 - bounded, and without entities
    except ElementTree.ParseError:
        raise Unreachable("the log's bucket answers no list") from None
    return [item.text or "" for item in root.iter() if item.tag.rpartition("}")[2] == "Key"]


def _load(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise ConfigError("transparency.storage s3:// needs AWS's runtime: install custody[aws]") from None
