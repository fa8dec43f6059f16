"""Tables that tell what kind each byte is of: one look-up in place of a question for each kind."""


def table_of(*members: tuple[int, bytes]) -> bytes:
    """256 bytes: at each byte the kinds whose members it is among, as bits; 0 for none. A byte of one kind alone has
    that kind's number, whatever bits it has."""
    table = bytearray(256)
    for kind, those in members:
        for byte in those:
            table[byte] |= kind
    return bytes(table)
