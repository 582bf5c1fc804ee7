"""One progress bar for everything over a few seconds: how far, how fast, how long still."""

import sys

from tqdm import tqdm


def progress(total: int, doing: str, unit: str = "steps", initial: int = 0) -> "tqdm[None]":
    """A bar on a terminal; in a log, a line every half minute."""
    terminal = sys.stderr.isatty()
    return tqdm(
        total=total,
        desc=doing,
        unit=f" {unit}",
        initial=initial,
        mininterval=0.2 if terminal else 30,
        maxinterval=10 if terminal else 30,
        dynamic_ncols=terminal,
        ascii=None if terminal else True,
    )
