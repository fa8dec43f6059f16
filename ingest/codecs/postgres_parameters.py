"""Bound parameters as text, for the record."""

from ingest.codecs.base import Action
from ingest.codecs.postgres_state import Named
from ingest.codecs.postgres_types import TEXTUAL, decoder, render
from ingest.codecs.postgres_wire import MalformedError, int32, uint16


def read_parameters(action: Action, bound: Named, encoding: str) -> None:
    """Fill `action.parameters` from the block of a Bind (or FunctionCall) behind its names.

    Text is taken as it is, binary is decoded by the statement's parameter types. What cannot be decoded is `\\x` and
    hex, with its places (from 1) in the attribute `undecoded_parameters`; a block that was cut or is malformed gives
    the parameters before the fault and the attribute `parameters_cut`.
    """
    undecoded: list[str] = []
    try:
        _read(action, bound, encoding, undecoded)
    except (MalformedError, IndexError):
        action.attributes["parameters_cut"] = "true"
    if bound.is_cut:
        action.is_truncated = True
        action.attributes["parameters_cut"] = "true"
    if undecoded:
        action.attributes["undecoded_parameters"] = ",".join(undecoded)


def _read(action: Action, bound: Named, encoding: str, undecoded: list[str]) -> None:
    block = bound.block
    oids = bound.statement.oids if bound.statement is not None else ()
    count = uint16(block, 0)
    formats = [uint16(block, 2 + 2 * index) for index in range(count)]
    start = 2 + 2 * count
    total = uint16(block, start)
    start += 2
    for index in range(total):
        size = int32(block, start)
        start += 4
        if size < 0:
            action.parameters.append(None)
            continue
        if start + size > len(block):
            raise MalformedError("parameter beyond the message")
        raw = block[start : start + size]
        start += size
        code = formats[index] if count > 1 else (formats[0] if count else 0)
        oid = oids[index] if index < len(oids) else 0
        if code == 0 or oid in TEXTUAL:
            action.parameters.append(raw.decode(encoding, "backslashreplace"))
            continue
        decode = decoder(oid)
        if decode is None:
            undecoded.append(str(index + 1))
        action.parameters.append(render(raw, decode))


def result_formats(bound: Named) -> tuple[int, ...]:
    """The result format codes of a Bind's block; of a cut or malformed one, none."""
    block = bound.block
    try:
        start = 2 + 2 * uint16(block, 0)
        total = uint16(block, start)
        start += 2
        for _ in range(total):
            size = int32(block, start)
            start += 4 + max(size, 0)
        wanted = uint16(block, start)
        formats = tuple([uint16(block, start + 2 + 2 * index) for index in range(wanted)])
    except IndexError:
        return ()
    return formats
