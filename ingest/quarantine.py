"""Who is stopped: agents, principals and sessions that control holds a quarantine for. Asked as each session opens."""

from schemas.events import ControlKind, SessionContext
from schemas.wire.control import ControlView

NO_REASON = "no reason given"


class Quarantines:
    """What control holds, as it is at the moment. An entry counts by its key, whatever stands in it."""

    def __init__(self, view: ControlView) -> None:
        self._view = view

    def reason_of(self, context: SessionContext) -> str | None:
        """Why a session is stopped: anybody whom it acts for, or who acts in it, is. None when nobody is."""
        agents, principals = {context.agent}, {context.principal}
        for hop in context.delegation:
            agents.add(hop.actor)
            principals.add(hop.on_behalf_of)
        keys = [f"session:{context.session_id}"] if context.session_id else []
        # Along a chain somebody is an actor here and a principal there.
        for name in sorted(agents | principals):
            keys += [f"agent:{name}", f"principal:{name}"]
        for key in keys:
            entry = self._view.get(ControlKind.QUARANTINE, key)
            if entry is not None:
                kind, _, name = key.partition(":")
                reason = entry.get("reason") if isinstance(entry, dict) else None
                return f"{kind} {name} is quarantined: {reason or NO_REASON}"
        return None
