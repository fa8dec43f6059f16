"""What policy may know of an action, from the session that it is in. Pure."""

from policy.model import ActionFacts, Classified, History, split_list
from schemas.events import SessionContext
from schemas.resources import Resource


def facts_of(
    context: SessionContext, resource: Resource, classified: Classified, history: History, step: str = ""
) -> ActionFacts:
    """`step`: what the agent claims."""
    return ActionFacts(
        agent=context.agent,
        principal=context.principal,
        resource=context.resource,
        protocol=context.protocol,
        classified=classified,
        labels=resource.labels,
        groups=split_list(context.attributes.get("groups", "")),
        source=context.source_ip,
        step=step,
        sensitivity=frozenset(split_list(resource.labels.get("sensitivity", ""))),
        history=history,
    )
