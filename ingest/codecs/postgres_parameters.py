"""Bound parameters as text, for the record."""

from struct import error as StructError
from struct import unpack_from

from ingest.codecs.base import Action
from ingest.codecs.postgres_state import Named
from ingest.codecs.postgres_types import TEXTUAL, decoder, render
from ingest.codecs.postgres_wire import INT16, SIGNED32, MalformedError


def read_parameters(action: Action, bound: Named, encoding: str) -> None:
    """Fill `action.parameters` from the block of a Bind (or FunctionCall) behind its names.

    Text is taken as it is, binary is decoded by the statement's parameter types. What cannot be decoded is `\\x` and
    hex, with its places (from 1) in the attribute `undecoded_parameters`; a block that was cut or is malformed gives
    the parameters before the fault and the attribute `parameters_cut`.
    """
    undecoded: list[str] = []
    try:
        _read(action, bound, encoding, undecoded)
    except (MalformedError, StructError):
        action.attributes["parameters_cut"] = "true"
    if bound.is_cut:
        action.is_truncated = True
        action.attributes["parameters_cut"] = "true"
    if undecoded:
        action.attributes["undecoded_parameters"] = ",".join(undecoded)


def _read(action: Action, bound: Named, encoding: str, undecoded: list[str]) -> None:
    block = bound.block
    oids = bound.statement.oids if bound.statement is not None else ()
    (count,) = INT16.unpack_from(block)
    formats = unpack_from(f"!{count}H", block, 2)
    start = 2 + 2 * count
    (total,) = INT16.unpack_from(block, start)
    start += 2
    for index in range(total):
        (size,) = SIGNED32.unpack_from(block, start)
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
        (count,) = INT16.unpack_from(block)
        start = 2 + 2 * count
        (total,) = INT16.unpack_from(block, start)
        start += 2
        for _ in range(total):
            (size,) = SIGNED32.unpack_from(block, start)
            start += 4 + max(size, 0)
        (wanted,) = INT16.unpack_from(block, start)
        formats: tuple[int, ...] = unpack_from(f"!{wanted}H", block, start + 2)
    except StructError:
        return ()
    return formats
