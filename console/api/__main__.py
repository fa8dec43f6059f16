"""`python -m console.api`: the REST API as a part of the stack. Supervised: it ends rather than guess."""

import asyncio
import logging
import sys
from typing import Final

from console.api.server import run
from console.control import Place
from schemas.config import find_settings
from schemas.errors import CustodyError
from schemas.runtime import Home, find_home
from schemas.wire.log_filter import set_up_logging
from schemas.wire.startup import choose_framing

log = logging.getLogger("console.api")

EXIT_FAILED: Final = 2


def main() -> int:
    """Exit status: 0 after a signal, 2 when it cannot start."""
    set_up_logging()
    home = Home(find_home())
    try:
        settings = find_settings(home)
        choose_framing(settings)
        asyncio.run(run(Place(home, settings)))
    except CustodyError as error:
        log.critical("%s", error)
        return EXIT_FAILED
    return 0


if __name__ == "__main__":
    sys.exit(main())
