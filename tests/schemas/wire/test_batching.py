"""What is built piece by piece is what the schema says."""

from schemas.events import Event, EventBatch, EventKind, Hop, Masked, SessionContext, SessionEvent
from schemas.wire import framing
from schemas.wire.batching import BatchBuilder, encode_context, encode_event


def test_a_built_batch_decodes_as_the_schema_says() -> None:
    contexts = [SessionContext(f"s{i}", "ann", "planner", [Hop("planner", "ann")]) for i in range(2)]
    events = [Event(i + 1, i, EventKind.ACTION_REQUESTED.value, masked=[Masked("card", 1, "t")]) for i in range(300)]
    builder = BatchBuilder()
    for number, event in enumerate(events):
        context = contexts[number % 2]
        builder.add(context.session_id, encode_context(context), encode_event(event))
    decoded = framing.BUILDERS["EventBatch"](framing.decode_body("EventBatch", builder.build("p", "e", 5)))
    expected = [SessionEvent(number % 2, event) for number, event in enumerate(events)]
    assert decoded == EventBatch("p", "e", 5, sessions=contexts, events=expected)
    assert len(builder) == 300
