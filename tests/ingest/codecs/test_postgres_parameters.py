"""Parameters of a Bind as text, whatever the bytes."""

import struct

from hypothesis import given
from hypothesis import strategies as st

from ingest.codecs.base import Action
from ingest.codecs.postgres_parameters import read_parameters, result_formats
from ingest.codecs.postgres_state import Named
from tests.ingest.codecs import postgres_messages as m


def bound(block: bytes, oids: tuple[int, ...] = (), is_cut: bool = False) -> Named:
    portal = Named(b"P", 0, "", block)
    portal.is_cut = is_cut
    portal.statement = Named(b"S", 0)
    portal.statement.oids = oids
    return portal


def read(portal: Named) -> Action:
    action = Action("")
    read_parameters(action, portal, "utf-8")
    return action


def block(**settings: object) -> bytes:
    return m.bind(**settings)[7:]  # type: ignore[arg-type]


def test_one_format_stands_for_all() -> None:
    values = (struct.pack("!i", 1), struct.pack("!h", -2))
    assert read(bound(block(values=values, formats=(1,)), (23, 21))).parameters == ["1", "-2"]


def test_binary_without_a_type_is_hex_and_named() -> None:
    action = read(bound(block(values=(b"x", b"\1"), formats=(0, 1))))
    assert action.parameters == ["x", "\\x01"]
    assert action.attributes == {"undecoded_parameters": "2"}


def test_a_cut_block_gives_what_is_whole() -> None:
    action = read(bound(block(values=(b"one", b"two"))[:-6], is_cut=True))
    assert action.parameters == ["one"]
    assert action.is_truncated and action.attributes["parameters_cut"] == "true"


def test_result_formats_behind_the_values() -> None:
    assert result_formats(bound(block(values=(b"abc", None), results=(1, 0)))) == (1, 0)
    assert result_formats(bound(b"\0")) == ()


@given(st.binary(max_size=60), st.lists(st.integers(0, 4000), max_size=4))
def test_no_block_raises(data: bytes, oids: list[int]) -> None:
    portal = bound(data, tuple(oids))
    read(portal)
    result_formats(portal)
