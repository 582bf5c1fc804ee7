"""How torch's threads wait for each other, which must be set before torch is imported.

libgomp, torch's pool of threads on Linux, lets a thread that waits try 300,000 times before it sleeps. Where another
process is busy, too, the thread that is waited for does not get its core meanwhile: two threads are then many times
slower than one. With three thousand tries training is about a tenth slower on an idle machine, and several times as
fast on a busy one (`python -m benchmarks waiting` measures both). libgomp reads the number once, as it is loaded.
"""

import os

SPINCOUNT = "3000"
OWN = {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"}  # a user who sets one of these has chosen


def wait_briefly() -> None:
    """Have libgomp's threads sleep soon, unless the user has set how they wait."""
    if not os.environ.keys() & OWN:
        os.environ["GOMP_SPINCOUNT"] = SPINCOUNT
