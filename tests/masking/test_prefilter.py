import sys

import pytest

from masking.prefilter import EDGE, MAX_LOCATED, Gate, HyperscanPrefilter, KeywordPrefilter, build_prefilter

GATES = [Gate((b"abc_", b"x.y"), ()), Gate((), (rb"[^0-9][0-9]{3}[^0-9]",)), Gate((b"abc_",), ())]


@pytest.fixture(params=[HyperscanPrefilter, KeywordPrefilter])
def prefilter(request):
    return request.param(GATES)


@pytest.mark.parametrize(
    ("text", "gates"),
    [(b"", []), (b"ABC_", [0, 2]), (b"x.y", [0]), (b"xzy", []), (b"123", [1]), (b"1234", []), (b"abc_ 123", [0, 1, 2]),
     (b"\xff\x00abc_\x00", [0, 2])],
)  # fmt: skip
def test_candidates(prefilter, text, gates):
    assert list(prefilter.candidates(text)) == gates


def test_locate_says_where_or_that_one_must_look():
    joined = EDGE + EDGE.join([b"none", b"abc_", b"12 123"]) + EDGE
    assert sorted(HyperscanPrefilter(GATES).locate(joined)) == [(0, 6, 10), (1, 18, 18), (2, 6, 10)]
    assert KeywordPrefilter(GATES).locate(joined) is None
    assert KeywordPrefilter(GATES).locate(b"\0none\0") == [] == HyperscanPrefilter(GATES).locate(b"\0none\0")


def test_a_text_full_of_hits_gives_the_same_candidates():
    text = b"abc_" * (MAX_LOCATED + 1)
    assert HyperscanPrefilter(GATES).locate(text) is None
    assert list(HyperscanPrefilter(GATES).candidates(text)) == [0, 2]


def test_without_hyperscan_the_keywords_engine_is_taken(monkeypatch):
    monkeypatch.setitem(sys.modules, "hyperscan", None)
    assert isinstance(build_prefilter(GATES), KeywordPrefilter)
    with pytest.raises(ImportError):
        build_prefilter(GATES, "hyperscan")


def test_engine_can_be_chosen():
    assert isinstance(build_prefilter(GATES), HyperscanPrefilter)
    assert isinstance(build_prefilter(GATES, "keywords"), KeywordPrefilter)


class Memory(dict):
    """What was kept, and which names were asked for in vain."""

    def __init__(self):
        self.missed = []

    def load(self, name):
        if name not in self:
            self.missed.append(name)
        return self.get(name)

    def keep(self, name, data):
        self[name] = data


def test_a_kept_database_finds_the_same_and_is_not_compiled_again():
    kept, text, full = Memory(), b"abc_ x.y 123 ABC_", b"abc_" * (MAX_LOCATED + 1)
    made = HyperscanPrefilter(GATES, kept)
    wanted = made.locate(EDGE + text + EDGE)
    assert wanted and list(made.candidates(full)) == [0, 2]
    assert len(kept) == len(set(kept.missed)) == 2  # the database that tells once has a name of its own
    kept.keep = lambda name, data: pytest.fail("compiled again")
    again = HyperscanPrefilter(GATES, kept)
    assert again.locate(EDGE + text + EDGE) == wanted and again.candidates(text) == made.candidates(text)
    assert list(again.candidates(full)) == [0, 2] and len(kept.missed) == 2


def test_other_expressions_are_another_database():
    kept = Memory()
    HyperscanPrefilter(GATES, kept)
    HyperscanPrefilter(GATES[:1], kept)
    assert len(kept) == 2
    assert list(HyperscanPrefilter(list(reversed(GATES)), kept).candidates(b"123")) == [1] and len(kept) == 3


@pytest.mark.parametrize(
    "damage", [lambda data: b"", lambda data: data[:-1], lambda data: data[:16] + b"\x09" + data[17:]]
)
def test_what_hyperscan_does_not_take_is_compiled_and_kept_anew(damage):
    kept = Memory()
    HyperscanPrefilter(GATES, kept)
    ((name, whole),) = kept.items()
    kept[name] = damage(whole)
    assert list(HyperscanPrefilter(GATES, kept).candidates(b"abc_ 123")) == [0, 1, 2]
    assert kept[name] == whole
