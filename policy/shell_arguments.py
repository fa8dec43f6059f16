"""Commands whose arguments decide what they do, by name."""

from typing import Final

from policy.shell_options import Handler
from policy.shell_readers import READERS
from policy.shell_system import SYSTEM
from policy.shell_tools import TOOLS
from policy.shell_wrappers import WRAPPERS

HANDLERS: Final[dict[str, Handler]] = {**WRAPPERS, **SYSTEM, **READERS, **TOOLS}
