"""Where data are kept."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trajectories.errors import DamagedFileError, DatasetError

VARIABLE = "TRAJECTORIES_DIR"


def data_folder(choice: Path | None = None) -> Path:
    """The cache: --data-dir, else $TRAJECTORIES_DIR, else $XDG_CACHE_HOME/trajectories, else ~/.cache/trajectories."""
    if choice is not None:
        return Path(choice).expanduser().absolute()
    if named := os.environ.get(VARIABLE):
        return Path(named).expanduser().absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser().absolute() / "trajectories"


@contextmanager
def named_in_cache(folder: Path, name: str) -> Iterator[None]:
    """Where a damaged file of the data set `name` lies in the cache below `folder`, say how to make or fetch it again.

    Raises:
        DatasetError: such a file is damaged. DamagedFileError goes on where it lies elsewhere: it is the user's own.
    """
    try:
        yield
    except DamagedFileError as error:
        place = error.file.relative_to(folder).parts if error.file.is_relative_to(folder) else ()
        if len(place) < 2:  # SOURCE/FILE
            raise
        remove = f"python experiments/data.py remove {name} --source {place[0]}"
        raise DatasetError(
            f"{error.file} in the cache is truncated or damaged ({error.reason}): remove it with `{remove}`, then run "
            f"this again."
        ) from error
