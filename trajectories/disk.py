"""Where data are kept."""

import os
from pathlib import Path

VARIABLE = "TRAJECTORIES_DIR"


def data_folder(choice: Path | None = None) -> Path:
    """The cache: --data-dir, else $TRAJECTORIES_DIR, else $XDG_CACHE_HOME/trajectories, else ~/.cache/trajectories."""
    if choice is not None:
        return Path(choice).expanduser().absolute()
    if named := os.environ.get(VARIABLE):
        return Path(named).expanduser().absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser().absolute() / "trajectories"
