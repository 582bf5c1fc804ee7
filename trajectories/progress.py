"""One progress bar for everything over a few seconds: how far, how fast, how long still."""

import os
import sys

from tqdm import tqdm


def progress(total: int | None, doing: str, unit: str = "steps", initial: int = 0, scale: bool = False) -> "tqdm[None]":
    """A bar on a terminal; in a log, a line every half minute. `scale` counts in thousands, millions: bytes."""
    terminal = sys.stderr.isatty()
    return tqdm(
        total=total,
        desc=doing,
        unit=f" {unit}",
        unit_scale=scale,
        initial=initial,
        mininterval=0.2 if terminal else 30,
        maxinterval=10 if terminal else 30,
        dynamic_ncols=terminal,
        ascii=None if terminal else True,
        disable=os.environ.get("RANK", "0") != "0",  # under torchrun the first process speaks for all
    )
