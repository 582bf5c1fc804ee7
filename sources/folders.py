"""What is in a folder that was given instead of a file, so that the user can name one of its files."""

from pathlib import Path

from trajectories import minari_folders
from trajectories.errors import DatasetError
from trajectories.formats.containers import READERS

SHOWN = 3  # files that a sentence lists
DEPTH = 3  # folders within each other that are looked into


def cannot_be_read(folder: Path) -> DatasetError:
    """The error about a folder that is no data set."""
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "is not there"
        return DatasetError(f"{folder} {what}, where the folder of a Minari data set is needed: check --path.")
    files = sorted(file.name for file in folder.iterdir() if file.suffix.lower() in READERS and file.is_file())
    if len(files) == 1:
        return DatasetError(f"{folder} is a folder: give the file in it, --path {folder / files[0]}.")
    if files:
        return DatasetError(f"{folder} is a folder that holds {_listed(files)}: give one of these files with --path.")
    depths = [f"{'*/' * depth}data/{minari_folders.METADATA}" for depth in range(1, DEPTH + 1)]
    if sets := sorted(str(file.parents[1].relative_to(folder)) for depth in depths for file in folder.glob(depth)):
        return DatasetError(f"{folder} holds Minari's data sets {_listed(sets)}: give the folder of one with --path.")
    if any(file for depth in range(DEPTH) for file in folder.glob(f"{'*/' * depth}$store$_*.gz")):
        return DatasetError(f"{folder} holds DQN-replay's files: name their game with --env, as --env breakout.")
    return DatasetError(f"{folder} is a folder without a data set: give a file that ends in {', '.join(READERS)}.")


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{', '.join(names[:SHOWN])}{more}"
