"""The search itself: what it must find, so that finding nothing means something."""

import base64
import gzip
from pathlib import Path
from urllib.parse import quote

import zstandard

from tests.integration.canaries import make_canaries
from tests.integration.disk_search import PIECE_BYTES, Searcher, search_tree


def test_every_form_is_found(tmp_path: Path) -> None:
    canaries = make_canaries("some-path")
    searcher = Searcher(canaries.needles())
    for name, secret in canaries.needles().items():
        forms = [
            secret.encode(),
            *(base64.b64encode(b"x" * shift + secret.encode() + b"yz") for shift in range(3)),
            *(base64.urlsafe_b64encode(b"\xff" * shift + secret.encode() + b"\xfe") for shift in range(3)),
            secret.encode("utf-16"),
            secret.encode("utf-16-be"),
            quote(secret, safe="").encode(),
            secret.encode().hex().encode(),
            zstandard.compress(b"some text " + secret.encode()),
            b"before" + gzip.compress(zstandard.compress(secret.encode())) + b"behind",
        ]
        for form in forms:
            hits = searcher.find_deep(b"\0\1 " + form + b" tail")
            assert name in {needle.what for needle in hits}, (name, form)
    assert not searcher.find_deep(canaries.tag.encode() + bytes(range(256)) * 100)


def test_a_tree_is_searched_whole(tmp_path: Path) -> None:
    canaries = make_canaries("tree")
    secret = canaries.values["password"]
    (tmp_path / "a").mkdir()
    (tmp_path / "a/big").write_bytes(b"\0" * (PIECE_BYTES - 5) + secret.encode() + b"\0" * 100)
    (tmp_path / "exempt").mkdir()
    (tmp_path / "exempt/file").write_text(secret)
    (tmp_path / f"name-{secret}").touch()
    found = search_tree(Searcher(canaries.needles()), tmp_path, [tmp_path / "exempt"])
    assert found == ["a/big: password (raw)", f"name-{secret}: password (raw)"]
