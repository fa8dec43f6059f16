"""The dataclasses and the Avro schemas are one contract; every version reads every other."""

import dataclasses
import io
import itertools

import fastavro
import pytest
from fastavro.utils import generate_many
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import events
from schemas.wire import framing

RECORDS = sorted(framing.CURRENT)


def _record_types(schema: object) -> dict[str, list[str]]:
    """Every record in a schema document -> its field names."""
    found: dict[str, list[str]] = {}
    if isinstance(schema, list):
        for item in schema:
            found |= _record_types(item)
    elif isinstance(schema, dict):
        if schema.get("type") == "record":
            found[schema["name"]] = [field["name"] for field in schema["fields"]]
        for key in ("fields", "type", "items", "values"):
            found |= _record_types(schema.get(key))
    return found


@pytest.mark.parametrize("record", RECORDS)
def test_dataclasses_have_the_fields_of_the_schema(record: str) -> None:
    for name, fields in _record_types(framing.load_avsc(record)).items():
        assert {field.name for field in dataclasses.fields(getattr(events, name))} == set(fields), name


@pytest.mark.parametrize("record", RECORDS)
def test_defaults_are_those_of_the_schema(record: str) -> None:
    def check(schema: object) -> None:
        if isinstance(schema, list):
            for item in schema:
                check(item)
        elif isinstance(schema, dict):
            if schema.get("type") == "record":
                compare(schema)
            for key in ("fields", "type", "items", "values"):
                check(schema.get(key))

    def compare(schema: dict[str, object]) -> None:
        fields = {field.name: field for field in dataclasses.fields(getattr(events, str(schema["name"])))}
        for field in schema["fields"]:  # type: ignore[attr-defined]
            if "default" not in field:
                continue
            ours = fields[field["name"]]
            if ours.default_factory is not dataclasses.MISSING:
                value = ours.default_factory()
            else:
                value = ours.default
            if value is not dataclasses.MISSING:
                assert (value.decode() if isinstance(value, bytes) else value) == field["default"], field["name"]

    check(framing.load_avsc(record))


@pytest.mark.parametrize("record", RECORDS)
def test_enum_symbols_are_the_values(record: str) -> None:
    def enums(schema: object) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        if isinstance(schema, list):
            for item in schema:
                found |= enums(item)
        elif isinstance(schema, dict):
            if schema.get("type") == "enum":
                found[schema["name"]] = schema["symbols"]
            for key in ("fields", "type", "items", "values"):
                found |= enums(schema.get(key))
        return found

    for name, symbols in enums(framing.load_avsc(record)).items():
        assert [item.value for item in getattr(events, name)] == symbols


@pytest.mark.parametrize("record", RECORDS)
def test_evolution_is_full_transitive(record: str) -> None:
    """Each version must read what each other version wrote."""
    documents = [framing.load_avsc(record, version) for version in framing.versions_of(record)]
    assert documents
    for writer, reader in itertools.product(documents, repeat=2):
        sample = next(iter(generate_many(fastavro.parse_schema(writer), 1)))
        buffer = io.BytesIO()
        fastavro.schemaless_writer(buffer, fastavro.parse_schema(writer), sample)
        buffer.seek(0)
        fastavro.schemaless_reader(buffer, fastavro.parse_schema(writer), fastavro.parse_schema(reader))


def test_kinds_are_in_the_past_tense_with_dots() -> None:
    assert all("." in kind.value for kind in events.EventKind)


TEXT = st.text(max_size=20)
EVENTS = st.builds(
    events.Event,
    seq=st.integers(1, 2**62),
    at=st.integers(-(2**62), 2**62),
    kind=st.sampled_from([kind.value for kind in events.EventKind]),
    statement=TEXT,
    parameters=st.lists(st.none() | TEXT, max_size=3),
    verdict=st.sampled_from([verdict.value for verdict in events.Verdict]),
    attributes=st.dictionaries(TEXT, TEXT, max_size=3),
    payload=st.binary(max_size=50),
    masked=st.lists(st.builds(events.Masked, TEXT, st.integers(0, 9), TEXT, TEXT), max_size=2),
)


@given(st.lists(EVENTS, max_size=4))
@settings(max_examples=50, deadline=None)
def test_what_is_written_is_read(batch: list[events.Event]) -> None:
    context = events.SessionContext("s", "ann", "planner", [events.Hop("planner", "ann")])
    written = events.EventBatch(
        "proxy", "ab", 7, events.Origin("log", 1, 2), "r1", [context], [events.SessionEvent(0, item) for item in batch]
    )
    assert framing.decode(framing.encode(written)) == written
