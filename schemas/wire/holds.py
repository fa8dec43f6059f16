"""The legal holds in force, as a process that acts on them reads them from control."""

from schemas.config import Settings
from schemas.errors import ConfigError, Unreachable
from schemas.events import ControlKind
from schemas.holds import LegalHold, parse_active
from schemas.runtime import Home
from schemas.wire.control import ControlView

START_TIMEOUT_S = 15.0
REFRESH_TIMEOUT_S = 5.0


class HoldReader:
    """Follows control from its first use on. For one thread."""

    def __init__(self, settings: Settings, home: Home, component: str) -> None:
        self._settings, self._home, self._component = settings, home, component
        self._view: ControlView | None = None

    def read(self) -> dict[str, LegalHold]:
        """Every hold that was durable before the call. Raises Unreachable: without knowing the holds nothing may go."""
        if self._view is None:
            view = ControlView(self._settings, self._home, self._component)
            try:
                view.start(START_TIMEOUT_S)
            except Unreachable:
                view.close()
                raise
            self._view = view
        if not self._view.refresh(REFRESH_TIMEOUT_S):
            raise Unreachable("the legal holds in control could not be read")
        try:
            return parse_active(self._view.all(ControlKind.LEGAL_HOLD))
        except ConfigError as error:
            raise Unreachable(f"nothing expires while a hold cannot be read: {error}") from None

    def close(self) -> None:
        """Stop following."""
        if self._view is not None:
            self._view.close()
            self._view = None
