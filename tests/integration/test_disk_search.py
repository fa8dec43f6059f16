"""The search itself: what it must find, so that finding nothing means something."""

import base64
import gzip
from pathlib import Path
from urllib.parse import quote

import pytest
import zstandard

from tests.integration.canaries import make_canaries
from tests.integration.disk_search import PIECE_BYTES, Needle, Searcher, search_tree, windows_of


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


PART = "kT4mZq8LwXn2RbVc7JyP"


@pytest.mark.parametrize(
    "text",
    [
        f"only its end was left: {PART[-6:]}",
        f"…{PART[3:9]}…",
        f"\x00\x01{PART[5:11]}\xff",
        f"in a long run: {'a9B' * 20}{PART[2:11]}{'Zz0' * 20}",
    ],
)
def test_any_six_characters_are_found(text: str) -> None:
    searcher = Searcher({"whole": PART * 2}, {"secret": PART})
    assert Needle("secret", "six characters of it") in searcher.find(text.encode("latin-1", "replace"))


def test_six_characters_by_chance_in_a_long_run_are_none_of_it() -> None:
    searcher = Searcher({"whole": PART * 2}, {"secret": PART})
    assert searcher.find(("MIIB" * 12 + PART[4:10] + "AQAB" * 12).encode()) == set()


def test_windows_that_are_everywhere_are_not_searched() -> None:
    assert windows_of("0123456789abcdefABCDEF") == {b"bcdefA", b"cdefAB", b"defABC", b"efABCD", b"fABCDE"}
