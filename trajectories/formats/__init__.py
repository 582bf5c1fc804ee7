"""One file a format: each reads a foreign file into Trajectories by `read(path, spec, name, source, zero_columns)`.

Minari's data sets are folders, and name their own environments: sources.py asks formats/minari.py itself.
"""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from trajectories.errors import DatasetError
from trajectories.types import Trajectories

SUFFIXES = {".hdf5": "d4rl", ".h5": "d4rl", ".hdf": "d4rl", ".pkl": "kzl", ".pickle": "kzl"}


def reader(path: Path, format: str | None = None) -> Callable[..., Trajectories]:
    """The `read` of the named format, or else of the one that the file's name ends in.

    Raises:
        DatasetError: the name's end tells no format.
    """
    chosen = format or SUFFIXES.get(path.suffix.lower())
    if chosen is None:
        raise DatasetError(
            f"{path}: cannot tell its format from its name; give a file that ends in {', '.join(SUFFIXES)}."
        )
    return import_module(f"trajectories.formats.{chosen}").read
