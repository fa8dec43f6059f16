"""The wall clock of events. Compiled where a C compiler is at hand (deploy/native.py)."""

from librt.time import time


def now_us() -> int:
    """Wall clock, µs since the epoch, UTC."""
    return int(time() * 1_000_000.0)
