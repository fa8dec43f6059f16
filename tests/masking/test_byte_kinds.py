"""A byte has the kinds it was given, together, and others have none."""

from masking.byte_kinds import table_of


def test_each_byte_tells_its_kinds() -> None:
    table = table_of((1, b"ab"), (2, b"b"), (5, b"\x00\xff"))
    assert len(table) == 256
    assert [table[byte] for byte in b"abc\x00\xff"] == [1, 3, 0, 5, 5]
