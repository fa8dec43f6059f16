"""Roots and proofs against RFC 6962 as it is written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import ProofError
from sinks.transparency.merkle import (
    EMPTY_ROOT,
    check_consistency,
    check_inclusion,
    consistency_ranges,
    hash_leaf,
    hash_range,
    inclusion_ranges,
    root_of,
)
from tests.sinks.transparency.logs import entries
from tests.sinks.transparency.rfc6962 import audit_path, consistency_path, tree_hash

SIZES = (*range(1, 20), 31, 32, 33, 70)


def perfect(hashes: list[bytes]):  # type: ignore[no-untyped-def]
    return lambda level, index: root_of(hashes[index << level : (index + 1) << level])


def test_roots_are_those_of_the_rfc() -> None:
    assert root_of([]) == EMPTY_ROOT == tree_hash([])
    for size in range(1, 130):
        items = entries(0, size)
        assert root_of([hash_leaf(item) for item in items]) == tree_hash(items)


@pytest.mark.parametrize("size", SIZES)
def test_proofs_are_those_of_the_rfc_and_verify(size: int) -> None:
    items = entries(0, size)
    hashes = [hash_leaf(item) for item in items]
    root = root_of(hashes)
    for index in range(size):
        proof = [hash_range(range_, perfect(hashes)) for range_ in inclusion_ranges(index, size)]
        assert proof == audit_path(index, items)
        check_inclusion(proof, index, hashes[index], size, root)
    for old in range(size + 1):
        proof = [hash_range(range_, perfect(hashes)) for range_ in consistency_ranges(old, size)]
        assert proof == consistency_path(old, items)
        check_consistency(proof, old, root_of(hashes[:old]), size, root)


@given(size=st.integers(2, 60), data=st.data())
def test_whatever_is_altered_no_longer_verifies(size: int, data: st.DataObject) -> None:
    hashes = [hash_leaf(item) for item in entries(0, size)]
    root = root_of(hashes)
    index = data.draw(st.integers(0, size - 1))
    proof = [hash_range(range_, perfect(hashes)) for range_ in inclusion_ranges(index, size)]
    other = data.draw(st.integers(0, size - 1).filter(lambda n: n != index))
    spoiled = data.draw(st.integers(0, len(proof) - 1))
    broken = [*proof[:spoiled], bytes(32), *proof[spoiled + 1 :]]
    for args in (
        (broken, index, hashes[index], size, root),
        (proof[:-1], index, hashes[index], size, root),
        ([*proof, bytes(32)], index, hashes[index], size, root),
        (proof, index, hashes[other], size, root),
        (proof, other, hashes[index], size, root),
        (proof, index, hashes[index], size, bytes(32)),
    ):
        with pytest.raises(ProofError):
            check_inclusion(*args)


@given(size=st.integers(2, 60), data=st.data())
def test_another_history_is_not_consistent(size: int, data: st.DataObject) -> None:
    hashes = [hash_leaf(item) for item in entries(0, size)]
    old = data.draw(st.integers(1, size - 1))
    proof = [hash_range(range_, perfect(hashes)) for range_ in consistency_ranges(old, size)]
    forked = [*hashes[: old - 1], bytes(32)]
    for args in (
        (proof, old, root_of(forked), size, root_of(hashes)),
        (proof, old, root_of(hashes[:old]), size, root_of([*forked, *hashes[old:]])),
        (proof[:-1], old, root_of(hashes[:old]), size, root_of(hashes)),
        ([*proof, bytes(32)], old, root_of(hashes[:old]), size, root_of(hashes)),
    ):
        with pytest.raises(ProofError):
            check_consistency(*args)


def test_what_cannot_be_proven_is_refused() -> None:
    hashes = [hash_leaf(item) for item in entries(0, 3)]
    root = root_of(hashes)
    for call in (
        lambda: inclusion_ranges(3, 3),
        lambda: consistency_ranges(4, 3),
        lambda: check_inclusion([], 0, hashes[0], 0, EMPTY_ROOT),
        lambda: check_inclusion([b"short"], 0, hashes[0], 3, root),
        lambda: check_inclusion([bytes(32)] * 64, 0, hashes[0], 3, root),
        lambda: check_consistency([bytes(32)], 3, root, 3, root),
        lambda: check_consistency([], 3, bytes(32), 3, root),
        lambda: check_consistency([], 0, bytes(32), 3, root),
        lambda: check_consistency([], 4, root, 3, root),
    ):
        with pytest.raises(ProofError):
            call()
