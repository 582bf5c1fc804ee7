"""DQN-replay's public files: fetched shard by shard into the cache, each once, resumed where it broke off.

    <cache>/dqn-replay/Breakout/1/replay_logs/$store$_observation_ckpt.0.gz ...

A checkpoint is four files, of which the frames take some hundred megabytes; kzl and the paper take fifty checkpoints.
"""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from sources.fetch import Published, fetch
from trajectories.atomic import make_once
from trajectories.formats.dqn_replay import COLUMNS, Selection, file_name
from trajectories.formats.whole import check_gzip, is_whole
from trajectories.progress import progress
from trajectories.rows import DatasetRow, replay
from trajectories.types import Trajectories


def folder(cache: Path, row: DatasetRow) -> Path:
    """Where a game's files are kept."""
    return cache / "dqn-replay" / str(row.path)


def shards(last: int) -> list[str]:
    """The files of the last so many checkpoints, the large files of frames behind the small ones of each."""
    numbers = selection(1, last, 0).of(range(replay()["checkpoints"]))
    return [file_name(column, number) for number in numbers for column in [*COLUMNS[1:], COLUMNS[0]]]


def is_here(cache: Path, row: DatasetRow, last: int) -> bool:
    """Whether all of them have been fetched already, and are whole."""
    return all(is_whole(folder(cache, row) / name, check_gzip) for name in shards(last))


def fetched(cache: Path, row: DatasetRow, last: int) -> Path:
    """The folder of a game's files, those of the last so many checkpoints fetched if they are not there yet.

    Raises:
        FetchError: there is no network, or the address does not deliver.
        UserError: the disk is full.
    """
    target = folder(cache, row)
    missing = [name for name in shards(last) if not is_whole(target / name, check_gzip)]
    if missing:
        print(f"Fetching {len(missing)} files of DQN-replay's {row.name}: many gigabytes; what is here stays here.")
        with progress(len(missing), f"DQN-replay's {row.name}", "files") as bar:
            for name in missing:
                get = partial(fetch, [address(row, name)], target / name, Published(check=check_gzip))
                make_once(target / name, get, partial(is_whole, check=check_gzip))
                bar.update(1)
    return target


def address(row: DatasetRow, name: str) -> str:
    """Where a file of a game is published."""
    return str(replay()["url"]).format(path=row.path, file=quote(name))


def clipped(data: Trajectories) -> Trajectories:
    """The data marked as clipped where no reward leaves [-1, 1], as DQN-replay's agents clipped them."""
    if np.abs(data.rewards).max() > 1:
        return data
    details = {**data.origin.details, "rewards": "the game's, clipped to [-1, 1]"}
    spec = replace(data.spec, clipped_rewards=True)
    return replace(data, spec=spec, origin=replace(data.origin, details=details))


def selection(steps: int, checkpoints: int, seed: int) -> Selection:
    """kzl's selection of so many steps."""
    usual: dict[str, Any] = replay()
    below, first_steps, at_once = (usual[name] for name in ("checkpoints", "first_steps", "episodes_at_once"))
    return Selection(steps, checkpoints, below, first_steps, at_once, seed)
