"""The transparency log's heads as messages: a SIEM that keeps them is a memory that the log's operator cannot edit.

Whoever has such a message can ask `custody verify --last-seen` whether the log still continues it.
"""

import base64
import time
from typing import Final

from schemas.config import Settings
from schemas.errors import ProofError, Unreachable
from schemas.events import Severity
from schemas.runtime import Home, now_us
from sinks.origins import Position
from sinks.siem.transport import Message
from sinks.transparency.log import read_checkpoint
from sinks.transparency.note import Checkpoint, parse_note
from sinks.transparency.place import log_directory
from sinks.transparency.storage import DirectoryStorage

KIND: Final = "checkpoint"


class HeadWatch:
    """Looks at the log's directory. Gives each head it sees once, and never an older one than it gave."""

    def __init__(self, settings: Settings, home: Home) -> None:
        self.problem = ""
        self._interval_s = settings.siem.checkpoint_interval_s
        self._storage = DirectoryStorage(log_directory(home))
        self._look_at = 0.0
        self._known: Position | None = None

    def resume(self, known: Position | None) -> None:
        """What was delivered before."""
        self._known = known

    def look(self) -> Message | None:
        """The newest head, when it is time and it is new."""
        if not self._interval_s or time.monotonic() < self._look_at:
            return None
        self._look_at = time.monotonic() + self._interval_s
        try:
            found = read_checkpoint(self._storage)
            self.problem = ""
        except (ProofError, Unreachable) as error:
            self.problem = f"the log's head cannot be read: {error}"
            return None
        if found is None or not self._is_new(found[0]):
            return None
        checkpoint, note = found
        self._known = Position(checkpoint.origin, checkpoint.size)
        return describe_head(checkpoint, note)

    def _is_new(self, checkpoint: Checkpoint) -> bool:
        known = self._known
        if known is None or known.log_id != checkpoint.origin:
            return True
        if checkpoint.size < known.offset:
            self.problem = f"the log had {known.offset} leaves and now has {checkpoint.size}: it was rolled back"
        return checkpoint.size > known.offset


def describe_head(checkpoint: Checkpoint, note: bytes) -> Message:
    """The message for a head, with the whole signed note."""
    signers = [signature.name for signature in parse_note(note).signatures]
    fields = {
        "origin": checkpoint.origin,
        "size": str(checkpoint.size),
        "root": checkpoint.root.hex(),
        "signed_by": " ".join(signers),
        "note_base64": base64.b64encode(note).decode(),
    }
    text = f"transparency log {checkpoint.origin}: {checkpoint.size} leaves"
    return Message(f"{checkpoint.origin}/{checkpoint.size}", KIND, Severity.INFO.value, now_us(), text, fields)
