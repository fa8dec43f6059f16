"""Tallies survive their header; anything else is refused."""

import pytest

from schemas.errors import RecordError
from schemas.wire.tallies import SessionTally, decode_tallies, encode_tallies


def test_they_come_back() -> None:
    tallies = [SessionTally("s-ß", 4, {"deny": 2, "allow": 1}, 3, -7, 1, 5, 0), SessionTally("t", 1)]
    assert decode_tallies(encode_tallies(tallies, 9)) == (tallies, 9)
    assert decode_tallies(encode_tallies([], 0)) == ([], 0)


@pytest.mark.parametrize(
    "data",
    [
        b"", b"[]", b"{}", b"[-1]", b'["x"]', b'[1,["s"]]', b'[1,["s",1,{},1,1,1,1,1,1]]', b'[1,["s",1,{},-1,1,1,1,1]]',
        b'[1,["s",1,[],1,1,1,1,1]]', b'[1,[5,1,{},1,1,1,1,1]]', b'[1,["s",1,{"deny":"x"},1,1,1,1,1]]', b"\xff",
        b"[1,2]",
    ],
)  # fmt: skip
def test_what_is_none_is_refused(data: bytes) -> None:
    with pytest.raises(RecordError):
        decode_tallies(data)
