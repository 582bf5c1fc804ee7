"""Fair clocks: two ways of doing the same work are timed in turn, and their ratio is taken pair by pair."""

import statistics
import time
from collections.abc import Callable

import torch


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def paired(ours: Callable[[], object], peer: Callable[[], object], pairs: int, warm: int = 2) -> tuple[float, ...]:
    """Median seconds of ours, of the peer's, and the median of peer / ours within a pair."""
    for _ in range(warm):
        ours()
        peer()
    times = [(seconds(ours), seconds(peer)) for _ in range(pairs)]
    mine, theirs = zip(*times, strict=True)
    return statistics.median(mine), statistics.median(theirs), statistics.median(b / a for a, b in times)


def matmul_ceiling(dtype: torch.dtype, size: int = 2048, tries: int = 7) -> float:
    """The most floating-point operations a second that a matrix product reaches here, with the threads there are."""
    a, b = (torch.randn(size, size, dtype=dtype) for _ in range(2))
    return 2 * size**3 / min(seconds(lambda: a @ b) for _ in range(tries))
