"""Work that is divided among processes and comes back in order: what a recording of many episodes is."""

import multiprocessing
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from itertools import count
from typing import Any, TypeVar

T = TypeVar("T")
AHEAD = 3  # answers waited for, for each process


def in_order(job: Callable[[int], T], processes: int = 0) -> Generator[T, None, None]:
    """job(0), job(1), job(2), ... without end, in this order; close it to end the processes.

    Args:
        job: of numbers; can be pickled, as can its results.
        processes: that work; 0: one for each processor it may use; 1: this one, and no other is started.
    """
    processes = processes or processors()
    if processes == 1:
        yield from map(job, count())
    context = multiprocessing.get_context("spawn")  # forking would copy simulators and threads
    with ProcessPoolExecutor(processes, context, _ignore_interrupts) as pool:
        waiting: deque[Future[T]] = deque()
        numbers = count()
        try:
            while True:
                while len(waiting) < AHEAD * processes:
                    with _without_script():
                        waiting.append(pool.submit(job, next(numbers)))
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def processors() -> int:
    """Those that this process may use: a container or `taskset` may allow fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def _without_script() -> Iterator[None]:
    """Processes that are started meanwhile do not run the user's script again, which would wait for itself for ever
    where it loads data outside of `if __name__ == "__main__"`."""
    script = vars(sys.modules["__main__"])
    kept: dict[str, Any] = {name: script[name] for name in ("__file__", "__spec__") if name in script}
    script.update(dict.fromkeys(kept))
    try:
        yield
    finally:
        script.update(kept)


def _ignore_interrupts() -> None:
    """Ctrl-C reaches all processes; the first one ends the others."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
