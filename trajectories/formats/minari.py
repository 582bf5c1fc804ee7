"""Minari: data sets of episodes, in both of their layouts -> Trajectories.

Source   https://minari.farama.org; layouts as minari 0.5.4 writes them
Layout   <root>/<id>/data/metadata.json, and either data/main_data.hdf5, with a group episode_N each, or
         data/N/part-0.arrow (or .parquet) for each episode: observations (T + 1), actions, rewards, terminations and
         truncations (T). Observations may be dictionaries of arrays and strings
Keeps    every step; terminations as `terminated`. An episode that neither terminates nor is truncated at its last step
         is not finished
Drops    each episode's last observation, which no action follows, and infos
Order    of the parts of an observation: trajectories/spaces.py, and in Provenance.details["observation_parts"]

Why not by the minari package, measured with 0.5.4 on 2,000 episodes of 100 steps: it takes 8.3 s and 120 MB (here 13.6
s and 34 MB), but it follows links out of the file, so that it returns another file's numbers, and allocates any size
that a file declares (30 GB for a few kB). On a full disk its writer ends in a segmentation fault (hdf5_writer.py).
"""

import math
import re
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from trajectories.errors import DamagedFileError, DatasetError
from trajectories.formats import columns
from trajectories.formats.hdf5 import Hdf5Array, Hdf5Group, open_hdf5
from trajectories.formats.limits import check_declared
from trajectories.minari_folders import metadata, metadata_file, observation_layout, space
from trajectories.parts import alike
from trajectories.spaces import Layout, actions_of
from trajectories.types import Provenance, Spec, Trajectories

EPISODE = re.compile(r"(?:episode_)?(\d{1,18})")
ARROW = ("arrow", "parquet")
LARGE = 1 << 30  # bytes; a hundred thousand screens of Atari as Minari keeps them, in color, are ten times that


def read(
    path: Path, spec: Spec, name: str, source: str = "minari", trailing_zeros: int = 0, long_episodes: bool = False
) -> Trajectories:
    """Read one Minari data set; `path` is its folder, the rest as in `own_files.read`.

    Raises:
        DatasetError: it is no Minari data set, or is truncated or damaged; an episode's columns have different lengths;
            a column does not fit the environment, or holds NaN or infinity.
    """
    folder = Path(path)
    about = metadata(folder)
    rows = observation_layout(folder, about)
    if not alike(rows.kept_apart, spec.parts):
        held, shown = (", ".join(part.name for part in parts) for parts in (rows.parts, spec.parts))
        raise DatasetError(
            f"{folder} holds observations of {held}, but {spec.name} shows {shown or 'one array'}: name the "
            f"environment that recorded it with --task."
        )
    if "action_space" in about:
        space(folder, about, "action_space", actions_of)
    table, lengths = _table(folder, about, rows)
    if about.get("clipped_rewards"):  # written here (sources/export.py)
        spec = replace(spec, clipped_rewards=True)
    bounds = np.concatenate([[0], np.cumsum(lengths)])
    details: dict[str, Any] = {"file": str(about.get("dataset_id", folder.name))}
    if not rows.single:
        details["observation_parts"] = rows.describe()
    origin, long_episodes = Provenance(name, source, "", details), long_episodes or bool(about.get("long_episodes"))
    return columns.trajectories(table, bounds, spec, origin, str(folder), trailing_zeros, long_episodes)


def _table(folder: Path, about: dict[str, Any], rows: Layout) -> tuple[dict[str, np.ndarray], list[int]]:
    """The columns of all episodes, one behind another, and how long each episode is."""
    steps, episodes = _total(folder, about, "total_steps"), _total(folder, about, "total_episodes")
    table: dict[str, np.ndarray] = {}
    lengths: list[int] = []
    filled = 0
    try:
        if steps is None:
            steps = sum(len(episode["rewards"]) for episode in _episodes(folder, about, rows, episodes))
        for episode in _episodes(folder, about, rows, episodes):
            length = len(episode["rewards"])
            _check_lengths(episode, f"{folder}, episode {len(lengths)}")
            if filled + length > steps:
                raise DamagedFileError(folder, f"its episodes hold more than the {steps:,} steps that its metadata say")
            for column, values in episode.items():
                values = values[:length]
                if column not in table:
                    table[column] = _room((steps, *values.shape[1:]), values.dtype)
                elif (wider := np.result_type(table[column], values)) != table[
                    column
                ].dtype:  # rewards of 0, then of 0.9
                    narrow, table[column] = table[column], _room(table[column].shape, wider)
                    table[column][:filled] = narrow[:filled]
                table[column][filled : filled + length] = values
            lengths.append(length)
            filled += length
    except (OSError, KeyError, RuntimeError) as error:
        raise DamagedFileError(folder, error) from error
    except (ValueError, TypeError) as error:
        raise DamagedFileError(folder, f"its episodes do not fit each other: {error}") from error
    if filled != steps or not lengths:
        raise DamagedFileError(folder, f"it holds {filled:,} steps, but its metadata say {steps:,}")
    return table, lengths


def _total(folder: Path, about: dict[str, Any], name: str) -> int | None:
    """How many steps or episodes the metadata announce; None if they do not."""
    total = about.get(name)
    if total is None:
        return None
    if not isinstance(total, int | float) or not 0 < total < math.inf or total % 1:
        found = repr(total)[:40]
        raise DatasetError(f"{metadata_file(folder)}: its {name} is {found} and not a count: get a whole copy.")
    stored = sum(file.stat().st_size for file in (folder / "data").rglob("*") if file.is_file())
    check_declared(int(total), stored, f"{metadata_file(folder)}, {name},")
    return int(total)


def _room(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """For a column, in memory, or, if it is larger than `LARGE`, in an unnamed file that is removed with it."""
    if math.prod(shape) * dtype.itemsize <= LARGE:
        return np.empty(shape, dtype)
    with tempfile.TemporaryFile() as file:  # the map keeps it
        return np.memmap(file, dtype, "w+", shape=shape)


def _check_lengths(episode: dict[str, np.ndarray], place: str) -> None:
    """Observations are one more than the rest."""
    lengths = {column: len(values) for column, values in episode.items()}
    count = lengths.pop("observations")
    columns.same_length(lengths, place)
    if count != lengths["rewards"] + 1:
        raise DatasetError(
            f"{place}: it has {count} observations and {lengths['rewards']} rewards, and there must be one observation "
            f"more: write it again."
        )


def _episodes(folder: Path, about: dict[str, Any], rows: Layout, count: int | None) -> Iterator[dict[str, np.ndarray]]:
    kind = about.get("data_format", "hdf5")
    if kind in ARROW:
        from trajectories.formats import minari_arrow

        numbers = _numbers(folder, (each.name for each in (folder / "data").iterdir()), count)
        yield from minari_arrow.episodes(folder / "data", kind, rows, numbers)
        return
    if kind != "hdf5":
        raise DatasetError(
            f"{folder} is stored as {kind!r}, and only hdf5, arrow and parquet are read: write it as one of these."
        )
    path = folder / "data" / "main_data.hdf5"
    if not path.exists():
        raise DamagedFileError(folder, f"it has no {path.relative_to(folder)}")
    with open_hdf5(path) as file:
        for number in _numbers(folder, file, count):
            found = file.get(f"episode_{number}")
            assert isinstance(found, Hdf5Group)
            yield {
                "observations": rows.rows(_nested(found.get("observations"))),
                "actions": found.column("actions"),
                "rewards": found.column("rewards"),
                "terminals": found.column("terminations"),
                "timeouts": found.column("truncations"),
            }


def _numbers(folder: Path, names: Iterable[str], count: int | None) -> list[int]:
    """The numbers of the episodes that are there: from 0 on, but for data sets that were filtered.

    Raises:
        DamagedFileError: there are fewer than `count`.
    """
    numbers = sorted(int(match[1]) for name in names if (match := EPISODE.fullmatch(name)))
    if count is not None and len(numbers) < count:
        missing = next(number for number in range(count) if number not in numbers)
        raise DamagedFileError(folder, f"it has {len(numbers):,} of {count:,} episodes, and no episode_{missing}")
    return numbers[:count]


def _nested(item: Hdf5Group | Hdf5Array | None) -> Any:
    """A group as a dictionary (a tuple's keys are _index_0, _index_1, ...), a data set as an array."""
    if not isinstance(item, Hdf5Group):
        return None if item is None else item[()]
    return {key.removeprefix("_index_"): _nested(item.get(key)) for key in item}
