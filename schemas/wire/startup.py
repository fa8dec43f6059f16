"""What every process does once, between knowing its settings and its first record: choose how records are framed."""

import json

from schemas.config import Settings
from schemas.wire import framing
from schemas.wire.registry import TOPIC_OF, make_registry


def choose_framing(settings: Settings, *, is_lazy: bool = False) -> None:
    """Confluent framing when `schema_registry.url` is set, else single-object encoding, for the whole process.

    Every version of every record is registered here, so that later neither writing nor reading Custody's own records
    depends on the registry. `is_lazy`: ask only when a record needs it, for commands that may need none.
    Raises ConfigError, Unreachable, RecordError (a schema is refused).
    """
    registry = make_registry(settings)
    framing.use_registry(registry)
    if registry is None or is_lazy:
        return
    for record in TOPIC_OF:
        for version in framing.versions_of(record):
            registry.id_of(record, json.dumps(framing.load_avsc(record, version)))
        framing.prefix_of(record)
