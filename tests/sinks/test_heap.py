"""Large blocks that come and go are not mapped anew each time."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
BLOCK_BYTES = 40 << 20
COUNT_FAULTS = f"""
import resource, sys
from sinks.heap import keep_freed_memory
if sys.argv[1] == "kept":
    assert keep_freed_memory()
def make():
    for _ in range(4):
        bytearray(b"x") * {BLOCK_BYTES}
make()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
make()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def count_faults(how: str) -> int:
    """Page faults of four large blocks, after four others."""
    done = subprocess.run(
        [sys.executable, "-c", COUNT_FAULTS, how], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def test_the_pages_of_large_blocks_are_used_again() -> None:
    assert count_faults("kept") * 10 < count_faults("mapped")
