"""Where experience comes from: `load` is the front door; behind it what fetches, records, collects and exports."""

from typing import Any

import trajectories  # noqa: F401  before torch is imported


def __getattr__(name: str) -> Any:
    """`from sources import load`, which imports the readers only then.

    Raises:
        AttributeError: any other name.
    """
    if name != "load":
        raise AttributeError(f"module 'sources' has no attribute {name!r}")
    from sources.loading import load

    return load
