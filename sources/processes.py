"""Work that is divided among processes and comes back in order: what a recording of many episodes is."""

import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Collection, Generator, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import chain, count
from multiprocessing import connection
from typing import Any, TypeVar

from trajectories.errors import UserError

T = TypeVar("T")
AHEAD = 3  # answers waited for, for each process


def in_order(job: Callable[[int], Collection[T]], processes: int = 0) -> Generator[T, None, None]:
    """What job(0), job(1), job(2), ... hold, without end and in this order; close it to end the processes.

    Args:
        job: of numbers; can be pickled, as can its results.
        processes: that work; 0: one for each processor it may use; 1: this one, and no other is started.

    Raises:
        UserError: a process was ended from outside.
    """
    processes = processes or processors()
    if processes == 1 or multiprocessing.current_process().daemon:  # which may start none
        yield from chain.from_iterable(map(job, count()))
    context = multiprocessing.get_context("spawn")  # forking would copy simulators and threads
    with ProcessPoolExecutor(processes, context, _begin) as pool:
        waiting: deque[Future[Collection[T]]] = deque()
        numbers = count()
        try:
            while True:
                while len(waiting) < AHEAD * processes:
                    with _without_script():
                        waiting.append(pool.submit(job, next(numbers)))
                yield from waiting.popleft().result()
        except BrokenProcessPool as error:
            raise UserError(
                "A process that helped was ended from outside, perhaps for want of memory: make room, or allow fewer "
                "processors (taskset -c 0 ...)."
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


def processors() -> int:
    """Those that this process may use; `taskset` or a cluster may allow fewer than the machine has."""
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


def _begin() -> None:
    """What a process that helps does first.

    Ctrl-C reaches all processes, and the first one ends the others; if it is killed, they end themselves.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    if (parent := multiprocessing.parent_process()) is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
