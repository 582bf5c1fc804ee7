"""How much a file from a stranger may make this machine hold, decided before anything is read.

A header may declare any size. What is honest is bounded by what is stored: gzip, HDF5's and Dopamine's compression,
shrinks nothing to less than a 1,032nd (zlib.net/zlib_tech.html), and what is not compressed not at all.
"""

import os

from trajectories.errors import DatasetError

SMALL = 1 << 26  # bytes that every file may hold, whatever is stored: buffers that were made and never filled
RATIO = 1032  # bytes at most that gzip stores in one


def check_declared(declared: int, stored: int, place: str, ratio: int = RATIO) -> None:
    """Refuse a size that what is stored cannot honestly give, each byte of it at most `ratio`.

    Raises:
        DatasetError: `declared` bytes cannot come from `stored` ones.
    """
    if declared > SMALL + ratio * stored:
        raise DatasetError(
            f"{place} declares {_gigabytes(declared)} and stores {stored:,} bytes, which no compression does: "
            f"get the file from its source again."
        )


def check_memory(needed: int, place: str) -> None:
    """Refuse what does not fit in memory, before the system ends this process or another one.

    Raises:
        DatasetError: `needed` bytes are more than the machine has.
    """
    if not hasattr(os, "sysconf"):  # Windows: Python raises a MemoryError there
        return
    available = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > available:
        raise DatasetError(
            f"{place} takes {_gigabytes(needed)} of memory, and this machine has {_gigabytes(available)}: "
            f"read it on a larger machine."
        )


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:,.1f} GB" if size < 10**15 else f"more than {10**15 // 10**9:,} GB"
