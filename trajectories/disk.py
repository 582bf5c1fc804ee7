"""Where data are kept."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trajectories.errors import DamagedFileError, DatasetError, UserError

VARIABLE = "TRAJECTORIES_DIR"


def data_folder(choice: Path | None = None) -> Path:
    """The cache: --data-dir, else $TRAJECTORIES_DIR, else $XDG_CACHE_HOME/trajectories, else ~/.cache/trajectories.

    Raises:
        UserError: it is a file, or below a home folder that there is not.
    """
    named = choice or os.environ.get(VARIABLE) or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "trajectories")
    folder = home_expanded(named, f"name a cache with --data-dir or ${VARIABLE}")
    if os.path.isfile(folder):  # False where it may not be looked at
        raise UserError(f"The cache {folder} is a file: name a folder with --data-dir or ${VARIABLE}.")
    return folder


def home_expanded(path: str | Path, otherwise: str) -> Path:
    """The absolute path, ~ being the user's home folder.

    Raises:
        UserError: there is no such home folder, as for an account that only has a number; `otherwise` is the next step.
    """
    try:
        return Path(path).expanduser().absolute()
    except RuntimeError as error:
        raise UserError(f"{path}: this account has no home folder: {otherwise}.") from error


@contextmanager
def named_in_cache(folder: Path, name: str) -> Iterator[None]:
    """Add the command that removes it to the message about a damaged file of data set `name` in the cache `folder`.

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
