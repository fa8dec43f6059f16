"""Ports for the servers that tests start."""

import random
import socket
from itertools import count
from pathlib import Path
from typing import Final

from deploy.embedded.process import LOOPBACK

LOWEST: Final = 10_240
# The kernel gives ports from here on to outgoing connections, of which a test run makes thousands: a server on one
# of those would now and then find its port taken between the choice and its start, or while it is down.
END: Final = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])

# Some servers take the port above theirs, too.
STRIDE: Final = 7
# In a fixed order, so that two runs beside each other meet only where they happen to start at the same place.
_choices: Final = count(random.SystemRandom().randrange(END - LOWEST), STRIDE)


def get_free_port() -> int:
    """A loopback port that nobody listens on and that no outgoing connection will get; another one at each call."""
    while True:
        port = LOWEST + next(_choices) % (END - LOWEST)
        with socket.socket() as probe:
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
        return port
