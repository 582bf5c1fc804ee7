"""The front door: `load("hopper-medium")` gives the trajectories of a data set, as memory-mapped columns.

`load("easy-vqa")` gives pairs, and `load("text-python")` a text (answers.py). Recordings take these steps:

    locate   the files that hold it; fetched or recorded first where they are not here yet (locate.py)
    read     them into columns (formats/)
    check    the columns: actions scaled, statistics compared with the published ones
    save     them in the column cache (store.py)
    open     the cache's columns

What the cache holds already is opened at once.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

from sources import answers
from sources.description import against_published, check_environment, compared, is_published
from sources.description import describe as describe_recording
from sources.dqn_replay_download import clipped
from sources.locate import SOURCES, locate
from sources.recording import Recording, read
from sources.request import Request, check
from trajectories import store
from trajectories.actions import scaled
from trajectories.answered import AnsweredRow
from trajectories.catalog import dataset, environment
from trajectories.disk import data_folder, named_in_cache
from trajectories.errors import DatasetError
from trajectories.types import Trajectories

__all__ = ["SOURCES", "Request", "describe", "load"]


def load(request: Request | str, **options: Any) -> Any:
    """A data set as memory-mapped columns; recorded or fetched first where it is not here yet.

    Args:
        request: which data set, or its name alone, "hopper-medium".
        options: with a name: the other fields of `Request`, as source="reroll", path=Path("mine.hdf5").

    Returns:
        Trajectories; Pairs or Text of a data set that is answered, not played.

    Prints one line where `auto` falls back to collected data, and progress while something is fetched or recorded.

    Raises:
        UserError: an unknown name or source, a path or a number of steps that the source has no use for, no network, a
            file that cannot be read or does not fit, a full disk.
    """
    if isinstance(request, str):
        request = Request(request, **options)
    row = dataset(request.name)
    request = replace(request, path=request.path and request.path.expanduser())
    check(request, SOURCES)
    cache = data_folder(request.data_dir)
    if isinstance(row, AnsweredRow):
        with named_in_cache(cache, row.name):
            return answers.load(request, row)
    with named_in_cache(cache, row.name):
        data = through_cache(locate(request, row), cache)
    if data.origin.source in ("dqn-replay", "jat") and row.environment.family == "atari":
        data = clipped(data)
    if request.path is not None and not request.allow_mismatch:
        check_environment(data, row)
    caveat = environment(data.spec.name).caveat
    return data.with_details({"differs": caveat}) if caveat else data  # records have known it by this name


def describe(data: Any) -> str:
    """What a run prints of its data."""
    return describe_recording(data) if isinstance(data, Trajectories) else answers.describe(data)


def through_cache(recording: Recording, cache: Path) -> Trajectories:
    """The columns of a recording, from the cache; read, checked and saved there first if it has none of these files.

    Raises:
        DatasetError: the files are missing, cannot be read, do not fit, or are not what is published.
        UserError: the disk is full.
    """
    if not recording.path.exists():
        raise DatasetError(f"There is no file {recording.path}: check --path.")
    row, stamp = recording.row, store.file_stamp(recording.stamped)
    target = store.place(cache, row.name, recording.source, stamp, row.environment.spec(), recording.details)
    if (data := store.find(target)) is not None:
        return data
    with store.new_columns(target, stamp) as folder:
        if folder is not None:
            store.save(folder, checked(read(recording, folder), recording), stamp)
    return store.load(target)


def checked(data: Trajectories, recording: Recording) -> Trajectories:
    """The data with actions in [-1, 1], and with what is known of them in their details.

    Raises:
        DatasetError: they should be D4RL's own, and their statistics are not the published ones.
    """
    row = recording.row
    if recording.published and not is_published(data, row):
        raise DatasetError(
            f"{recording.path} is not D4RL's {row.name}: its statistics differ from the published ones "
            f"({len(data):,} steps, {against_published(data, row)}): give a file of your own with --path, "
            f"or fetch D4RL's after `python experiments/data.py remove {row.name} --source d4rl`."
        )
    return compared(scaled(data, row.environment), row).with_details(recording.details)
